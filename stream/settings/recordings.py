"""What `renderer.record` names, a file or a folder, and which node writes that folder."""

from __future__ import annotations

import os
from pathlib import Path

from stream.settings.addresses import source_kind
from stream.settings.config import Config

COPIED_KINDS = ("rtsp", "file")  # sources that give encoded packets, which a recording copies


def is_folder(path: str) -> bool:
    """Whether `renderer.record` means a folder of segments: it ends in a slash, or is a folder."""
    return path.endswith("/") or (bool(path) and os.path.isdir(path))


def recording_node(config: Config) -> str:
    """The node that writes the folder of recordings: `capture` copies packets, `renderer` encodes; empty: nobody."""
    if not is_folder(config.renderer.record):
        return ""
    copied = config.live and not config.recording.overlay and source_kind(config.capture.source) in COPIED_KINDS
    return "capture" if copied else "renderer"


def camera_folder(config: Config) -> Path:
    """Where the recordings of a camera are: each has a folder of its own."""
    return Path(config.renderer.record) / config.capture.camera
