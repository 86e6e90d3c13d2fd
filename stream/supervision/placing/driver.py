"""The supervisor's side of the process that talks to Ray (`ray_driver.py`): requests in, answers out; it may die."""

from __future__ import annotations

import contextlib
import json
import math
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from stream.supervision.processes import environment

CLOSE_S = 1.5
RETRY_S = 3.0  # until a cluster that could not be joined is tried again
GONE = {"error": "the process that talks to Ray has ended: the cluster's head may be gone"}


class Driver:
    """One such process, from its start to its end."""

    def __init__(self, cluster: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "stream.supervision.placing.ray_driver", cluster],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment(), "RAY_USAGE_STATS_ENABLED": "0"},
            start_new_session=True,  # Ctrl-C is for us alone
        )
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="ray-driver", daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                self._answers.put(json.loads(line))
        self._answers.put(GONE)

    def ask(self, **request: Any) -> None:
        """Send a request; one to a process that has ended is lost, as its answer says."""
        assert self._process.stdin
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    def take(self) -> dict[str, Any] | None:
        """The next answer, if one has come."""
        try:
            return self._answers.get_nowait()
        except queue.Empty:
            return None

    def close(self, wait_s: float = CLOSE_S) -> None:
        """Let it finish what it was asked for, for so long, and end it."""
        assert self._process.stdin
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(wait_s)
        self._process.kill()
        self._process.wait()


class RayConnection:
    """The way to a cluster, over all such processes: one is started when something is to be asked for."""

    def __init__(
        self, cluster: str, within_s: float, start_driver: Callable[[str], Driver], clock: Callable[[], float]
    ) -> None:
        """`within_s`: until a cluster that does not answer counts as gone."""
        self._cluster = cluster
        self._within_s = within_s
        self._start_driver = start_driver
        self._clock = clock
        self._driver: Driver | None = None
        self._joined = False  # the cluster
        self._join_at_s = -math.inf  # no sooner it is tried
        self._join_by_s = math.inf

    def join(self) -> bool:
        """Whether the cluster can be asked for places; if not, that is under way."""
        if self._driver is None and self._clock() >= self._join_at_s:
            self._driver = self._start_driver(self._cluster)
            self._join_by_s = self._clock() + self._within_s
        return self._joined

    def ask(self, **request: Any) -> bool:
        """Send a request, where there is somebody to take it."""
        if self._driver is not None:
            self._driver.ask(**request)
        return self._driver is not None

    def take(self) -> dict[str, Any] | None:
        """The next answer; after an `error` nobody is there until the next `join`."""
        if self._driver is None:
            return None
        answer = self._driver.take()
        if answer is None and not self._joined and self._clock() > self._join_by_s:
            late = f"{self._cluster} has not let us in for {self._within_s:g} s: is its head there, its token ours?"
            answer = {"error": late}
        if answer is not None and "joined" in answer:
            self._joined = True
        elif answer is not None and "error" in answer and "failed" not in answer:
            self._driver.close(wait_s=0.0)
            self._driver, self._joined = None, False
            self._join_at_s = self._clock() + RETRY_S
        return answer

    def close(self) -> None:
        """Let it finish what it was asked for."""
        if self._driver is not None:
            self._driver.close()
            self._driver = None
