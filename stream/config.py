"""The config's address before `stream/settings` was a folder: scripts outside this repository import it from here."""

from __future__ import annotations

from stream.settings.config import (
    Capture,
    Config,
    Control,
    Decoder,
    Graph,
    Log,
    Publisher,
    Renderer,
    Supervisor,
    Tracker,
)

__all__ = ["Capture", "Config", "Control", "Decoder", "Graph", "Log", "Publisher", "Renderer", "Supervisor", "Tracker"]
