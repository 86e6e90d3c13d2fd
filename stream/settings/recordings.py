"""What `renderer.record` names, a file or a folder, and which node writes that folder."""

from __future__ import annotations

import os
from pathlib import Path

from stream.settings.addresses import is_playlist, source_kind
from stream.settings.config import Config

COPIED_KINDS = ("rtsp", "network", "file")  # sources that give encoded packets, which a recording copies


def is_folder(path: str) -> bool:
    """Whether `renderer.record` means a folder of segments: it ends in a slash, or is a folder."""
    return path.endswith("/") or (bool(path) and os.path.isdir(path))


def recording_node(config: Config) -> str:
    """The node that writes the folder of recordings: `capture` copies packets, `renderer` encodes; empty: nobody.

    Packets of HLS come long before their pictures are shown, so they are not copied.
    """
    if not is_folder(config.renderer.record):
        return ""
    own = config.capture.source
    copied = config.live and not config.recording.overlay and source_kind(own) in COPIED_KINDS and not is_playlist(own)
    return "capture" if copied else "renderer"


def camera_folder(config: Config) -> Path:
    """Where the recordings of a camera are: each has a folder of its own."""
    return Path(config.renderer.record) / config.capture.camera
