"""A share of a host that is wanted or held for one process, with the agent that runs it there."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from stream.settings.config import Placement
from stream.supervision.placing.placed_process import PlacedProcess


@dataclass
class Place:
    """Wanted, then held, then given up; the cluster alone changes it."""

    name: str  # of the process
    needs: Placement
    agent: str  # the name of its agent, and of Ray's actor: nobody can guess it
    heard_s: float  # when its agent was heard last; before that, when the place was asked for or found
    asked: bool = False  # Ray was asked for it
    node: str = ""  # of the cluster, once Ray has found one
    connected: bool = False  # the agent is there
    address: str = ""  # of its host
    held: bool = True  # Ray's actor lives
    process: PlacedProcess | None = None
    free_since_s: float = field(default=math.inf)  # when its process ended
    kill_by_s: float = field(default=math.inf)  # when its process has to have ended

    @property
    def is_free(self) -> bool:
        """Whether another process can run here."""
        return self.connected and self.process is None

    @property
    def where(self) -> dict[str, str]:
        """The host, for people."""
        return {"address": self.address, "node": self.node}

    @property
    def needs_of_ray(self) -> dict[str, Any]:
        """What Ray is asked for: cores are always named, for an actor that names none is held for free."""
        share = 1 / self.needs.cameras_per_gpu if self.needs.cameras_per_gpu else 0
        return {"num_cpus": self.needs.cpus, "num_gpus": share, "resources": dict(self.needs.resources)}

    @property
    def threads(self) -> int:
        """Of the libraries that compute."""
        return self.needs.threads or max(1, math.ceil(self.needs.cpus))
