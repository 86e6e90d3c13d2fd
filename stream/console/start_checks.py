"""What can be known before anything is started: a config in, an error for what can't work on this machine out."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from stream.console.cluster_checks import check_cluster, check_placement
from stream.errors import ConfigError, SourceError
from stream.settings.addresses import source_kind, source_path
from stream.settings.cameras import camera_configs
from stream.settings.config import Config, FleetConfig
from stream.settings.integrations import check_mqtt_files, check_mqtt_packages
from stream.settings.options import MASK_BACKENDS, POINT_BACKENDS
from stream.settings.web_access import check_web_files, check_web_packages
from stream.transport.descriptors import raise_descriptor_limit

if TYPE_CHECKING:
    from stream.topology import Graph


def check_start(config: Config) -> None:
    """Refuse what can't work before anything is started: nodes out of reach of each other, a file that is not there."""
    raise_descriptor_limit(threads=config.supervisor.threads, cameras=len(camera_configs(config)))
    from stream.topology import listeners, wiring

    check_cluster(config)
    in_fleet = isinstance(config, FleetConfig)
    for name, own in camera_configs(config).items():
        graph = wiring(own, in_fleet=in_fleet)
        graph.check()
        check_camera(own, f"cameras.{name}: " if in_fleet else "", graph)
        here = [stage for stage in listeners(config) if in_fleet or graph.nodes[stage].here]
    if "web" in here:
        check_web_packages()
        check_web_files(config.web)
    if "mqtt" in here:
        check_mqtt_packages()
        check_mqtt_files(config.mqtt)


def check_camera(config: Config, where: str = "", graph: Graph | None = None) -> None:
    """Refuse a camera that can't work here: weights, a file or a GPU that is not there. `where` begins the message."""
    from stream.topology import wiring
    from stream.weights.published import check_there

    graph = graph or wiring(config)
    if config.graph.engine == "ray":  # files, weights and GPUs are those of a host that is not chosen yet
        check_placement(config, where)
        return
    for section in ("tracker", "decoder"):
        if graph.nodes[section].here:
            check_gpu(f"{where}{section}.device", getattr(config, section).device)
    check_there(needed_weights(config, graph))
    if not graph.nodes["capture"].here:
        return
    if (replayed := config.recording.replay_masks) and not Path(replayed).is_file():
        raise ConfigError(f"{where}--replay-masks {replayed}: no such file; needs NAME.masks.jsonl of a recording")
    source = config.capture.source
    path = Path(source_path(source))
    if source_kind(source) == "file" and not path.exists():
        raise SourceError(
            f"{where}--source {source}: no such file or folder; give a path that exists, or demo, rtsp://..., 0"
        )


def needed_weights(config: Config, graph: Graph) -> list[str]:
    """The published weights that the nodes of this host load; files that the config names are theirs to check."""
    tracker, decoder = config.tracker, config.decoder
    names: list[str] = []
    if graph.nodes["tracker"].here and not tracker.checkpoint:
        names += POINT_BACKENDS[tracker.backend].weights
    if graph.nodes["decoder"].here and not decoder.checkpoint:
        names.append(MASK_BACKENDS[decoder.backend].weights.format(model=decoder.model))
    return [name for name in names if name]


def check_gpu(key: str, device: str) -> None:
    """Refuse a GPU that is named and not there; ConfigError."""
    if not device.startswith("cuda"):
        return
    if importlib.util.find_spec("torch") is None:
        raise ConfigError(f"{key} is {device}, and PyTorch is not installed, which finds it; take auto or cpu")
    from stream.weights.devices import choose_device

    choose_device(key, device)
