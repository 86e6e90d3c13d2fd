"""A config in; ConfigError where what goes out of the run could not be opened: files, sockets, the page."""

from __future__ import annotations

from nodes.renderer.sinks import check_sinks
from stream.errors import ConfigError
from stream.settings.config import Config
from stream.topology import wiring
from stream.transport.listening import listen_at_address, why_not_bound


def check_outputs(config: Config) -> None:
    """Try all outputs of this host, and leave nothing open: what fails is said before anything is started."""
    nodes = wiring(config).nodes
    if nodes["renderer"].here:
        check_sinks(config.renderer)
    if nodes["publisher"].here:
        _check_address("--publish (publisher.endpoint)", config.publisher.endpoint)
    _check_address("control.endpoint", config.control.endpoint)
    if "web" in nodes and nodes["web"].here:
        from nodes.web.door import check_page

        check_page(config.web)


def _check_address(key: str, endpoint: str) -> None:
    if not endpoint.startswith("tcp://"):
        return
    try:
        listen_at_address(endpoint).close()
    except OSError as error:
        raise ConfigError(f"{key}: {why_not_bound(endpoint, error.errno, error.strerror)}") from None
