"""What has changed in a config: two configs in, the nodes to restart out; and what can't change while a run goes on."""

from __future__ import annotations

from typing import Any

from stream.errors import ConfigError
from stream.settings.config import Config, FleetConfig
from stream.settings.options import resolve
from stream.topology import SUPERVISOR, Graph, listeners

# section -> keys that a run goes on with as it began; None: all
FIXED: dict[str, tuple[str, ...] | None] = {
    "graph": None,
    "placement": None,
    "log": None,
    "control": ("endpoint", "requests_per_s", "request_burst"),
    "publisher": ("endpoint",),
    "supervisor": ("threads", "journal", "state", "heartbeat_s", "stop_timeout_s"),
}


def check_changes(old: Config, new: Config, where: str = "") -> None:
    """Refuse a change of what can't change while a run goes on; ConfigError, which names the key after `where`."""
    if isinstance(old, FleetConfig) != isinstance(new, FleetConfig):
        one, other = ("several cameras", "one") if isinstance(old, FleetConfig) else ("one camera", "several")
        raise ConfigError(f"a run of {one} can't become a run of {other}; end it, and start it again")
    for section, keys in FIXED.items():
        before, after = getattr(old, section), getattr(new, section)
        for key in before.__struct_fields__ if keys is None else keys:
            if getattr(before, key) != getattr(after, key):
                raise ConfigError(
                    f"{where}{section}.{key} can't change while the run goes on; end it, and start it again"
                )
    for stage, key in (("web", "web.endpoint"), ("mqtt", "mqtt.url"), ("webhooks", "webhooks.urls")):
        if (stage in listeners(old)) != (stage in listeners(new)):
            raise ConfigError(f"{key} can't come or go while the run goes on; end it, and start it again")


def changed_stages(old: tuple[Config, Graph], new: tuple[Config, Graph]) -> set[str]:
    """The stages whose nodes see another config, or read and write otherwise."""
    stages = set(old[1].nodes) & set(new[1].nodes) - {SUPERVISOR}
    return {stage for stage in stages if _seen_by(stage, *old) != _seen_by(stage, *new)}


def _seen_by(stage: str, config: Config, graph: Graph) -> list[Any]:
    """All that the nodes of a stage take from a config (`make_stage` of each)."""
    options = resolve(config)
    seen: dict[str, list[Any]] = {
        "capture": [config.capture],
        "tracker": [config.tracker, options.tracker, config.supervisor.step_timeout_s],
        "decoder": [
            config.decoder,
            options.segmenter,
            options.budget,
            options.turns,
            options.discovery,
        ],
        "renderer": [config.renderer],
        "publisher": [config.publisher],
        "web": [config.web],
        "mqtt": [config.mqtt],
        "webhooks": [config.webhooks],
    }
    edges = [edge for edge in graph.edges if stage in (edge.reader, edge.writer)]
    return [graph.nodes[stage], edges, config.live, *seen.get(stage, [])]
