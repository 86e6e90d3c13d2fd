"""Web: the page in the browser. Hears of the run as any subscriber does, and asks for things as any client does."""

from __future__ import annotations

import logging
from collections import deque

from nodes.web.camera_uploads import CameraUploads
from nodes.web.hub import ALWAYS
from nodes.web.relay import Listening, Requests
from nodes.web.server import WebServer
from stream.commands import Command, SetCameras, Start
from stream.messages import Upload
from stream.node import NodeContext, Stage
from stream.recordings.index_file import indexed_folder
from stream.reports import Progress
from stream.settings.addresses import source_kind
from stream.settings.cameras import camera_configs
from stream.settings.config import Config, FleetConfig
from stream.settings.recordings import recording_node

log = logging.getLogger(__name__)

MAX_UPLOADS = 8  # on their way from the server's thread to the node's; the oldest gives way


def make_stage(config: Config, node: NodeContext) -> Stage:
    """The stage that this node runs."""
    return WebStage(config, node)


class WebStage(Stage):
    """Starts the server, and stops it; the server's own thread does the rest."""

    def __init__(self, config: Config, node: NodeContext) -> None:
        self._node = node
        self._uploads: deque[Upload] = deque(maxlen=MAX_UPLOADS)
        several = isinstance(config, FleetConfig)
        from_page = not several and source_kind(config.capture.source) == "browser"
        camera_feed = CameraUploads(self._take_upload) if from_page else None
        cameras = list(camera_configs(config))
        topics = list(ALWAYS) if several else [f"{topic}{cameras[0]}" for topic in ALWAYS]
        listening, requests = Listening(node.open_listener(topics)), Requests(node.open_control())
        try:
            own = camera_configs(config)
            folders = {name: indexed_folder(c) for name, c in own.items() if recording_node(c)}
            self._server = WebServer(config.web, listening, requests, cameras, node.folder, camera_feed, folders)
        except Exception:
            listening.close()
            requests.close()
            raise
        self._url = self._server.start()

    def handle_command(self, command: Command) -> None:
        """Say where the page is; take the cameras that there are."""
        if isinstance(command, Start):
            log.info("the page is at %s", self._url)
        elif isinstance(command, SetCameras):
            self._server.set_cameras(list(command.endpoints))

    def on_idle(self) -> None:
        """Send what a page's camera has given; end with the server, if that has failed."""
        if not self._server.serving:
            raise RuntimeError("the page's server has failed")  # no StreamError: a restart may mend it
        while self._uploads:
            self._node.send(self._uploads.popleft())

    def _take_upload(self, upload: Upload) -> None:
        """Called from the server's thread, as a page sends."""
        self._uploads.append(upload)
        self._node.wake()

    def close(self) -> None:
        """Stop the server."""
        self._server.stop("the run has ended")

    def progress(self) -> Progress:
        """It runs."""
        return Progress()
