"""Web: the page in the browser. Hears of the run as any subscriber does, and asks for things as any client does."""

from __future__ import annotations

import logging

from nodes.web.hub import ALWAYS
from nodes.web.relay import Listening, Requests
from nodes.web.server import WebServer
from stream.commands import Command, Start
from stream.node import NodeContext, Stage
from stream.reports import Progress
from stream.settings.config import Config

log = logging.getLogger(__name__)


def make_stage(config: Config, node: NodeContext) -> Stage:
    """The stage that this node runs."""
    return WebStage(config, node)


class WebStage(Stage):
    """Starts the server, and stops it; the server's own thread does the rest."""

    def __init__(self, config: Config, node: NodeContext) -> None:
        camera = config.capture.camera
        topics = [f"{topic}{camera}" for topic in ALWAYS]
        listening, requests = Listening(node.open_listener(topics), topics), Requests(node.open_control())
        try:
            self._server = WebServer(config.web, listening, requests, [camera])
        except Exception:
            listening.close()
            requests.close()
            raise
        self._url = self._server.start()

    def handle_command(self, command: Command) -> None:
        """Say where the page is."""
        if isinstance(command, Start):
            log.info("the page is at %s", self._url)

    def close(self) -> None:
        """Stop the server."""
        self._server.stop("the run has ended")

    def progress(self) -> Progress:
        """It runs."""
        return Progress()
