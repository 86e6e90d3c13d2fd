"""A config in; ConfigError where what goes out of the run could not be opened: files, sockets, the page."""

from __future__ import annotations

from nodes.renderer.sinks import check_sinks
from stream.errors import ConfigError
from stream.settings.cameras import camera_configs
from stream.settings.config import Config, FleetConfig
from stream.state.folder import prepare_state
from stream.topology import listeners, wiring
from stream.transport.listening import check_free


def check_outputs(config: Config) -> None:
    """Try all outputs of this host, and leave nothing open: what fails is said before anything is started."""
    prepare_state(config)
    in_fleet = isinstance(config, FleetConfig)
    graphs = [(own, wiring(own, in_fleet=in_fleet)) for own in camera_configs(config).values()]
    for own, graph in graphs:
        if graph.nodes["renderer"].here and not graph.outside:  # else the files are on another host
            check_sinks(own.renderer)
    publish, control = config.publisher.endpoint, config.control.endpoint
    if publish and any(graph.nodes["publisher"].here for _, graph in graphs):
        check_free("--publish (publisher.endpoint)", publish)
    if config.graph.host:
        if control:
            check_free("control.endpoint", control)
        if publish and publish == control and not publish.endswith((":0", ":*")):  # those the system chooses
            raise ConfigError(f"publisher.endpoint and control.endpoint are both {control}; each needs its own")
    here = [s for s in listeners(config) if in_fleet or any(g.nodes[s].here for _, g in graphs)]
    if "web" in here:
        from nodes.web.door import check_page

        check_page(config.web)
    if "mqtt" in here:
        from nodes.mqtt.client import check_tls

        check_tls(config.mqtt)
