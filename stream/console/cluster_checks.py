"""What a run needs whose cameras are placed on a Ray cluster: a config in, ConfigError for what is missing out."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re

from stream.errors import ConfigError
from stream.settings.cameras import camera_configs
from stream.settings.config import Config, FleetConfig

OLDEST_RAY = (2, 54)
HEAD = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}")


def check_cluster(config: Config) -> None:
    """Refuse what can't be placed on a cluster, and a machine without Ray; a config that asks for none passes."""
    graph = config.graph
    if graph.engine != "ray":
        return
    if not isinstance(config, FleetConfig):
        raise ConfigError("graph.engine is ray, which places the cameras of a config with `cameras:`; name them there")
    if graph.processes not in ("auto", "camera"):
        raise ConfigError(
            f"graph.processes is {graph.processes}; with graph.engine ray each camera has one: take camera"
        )
    if graph.cluster != "auto" and not HEAD.fullmatch(graph.cluster):
        raise ConfigError(f"graph.cluster is {graph.cluster!r}; needs HOST:PORT of the cluster's head, or auto")
    if config.supervisor.threads:
        raise ConfigError("--threads keeps all nodes in one process; graph.engine ray needs processes")
    for name, own in camera_configs(config).items():
        check_placement(own, f"cameras.{name}.")
    check_ray()


def check_placement(config: Config, where: str = "") -> None:
    """Refuse what a camera can't have on another host; `where` begins the message."""
    if config.renderer.window:
        raise ConfigError(f"{where}renderer.window: a camera on another host has no window here; take --web")
    for name, amount in config.placement.resources.items():
        if not amount > 0:
            raise ConfigError(f"{where}placement.resources.{name} is {amount:g}; needs a number above 0")


def check_ray() -> None:
    """Refuse to start where Ray is missing, or too old for token authentication."""
    how = "pip install -r requirements-ray.txt -c constraints.txt"
    if importlib.util.find_spec("ray") is None:
        raise ConfigError(f"graph.engine is ray, and Ray is not installed; {how}")
    version = importlib.metadata.version("ray")
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_RAY:
        needed = ".".join(map(str, OLDEST_RAY))
        raise ConfigError(f"graph.engine is ray, and Ray {version} is installed; needs {needed} or newer: {how}")
