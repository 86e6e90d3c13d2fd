"""`renderer.window: auto` in, a window where there is a screen and the page where there is none out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stream.settings.addresses import source_kind
from stream.settings.web_access import DEFAULT_ENDPOINT


def choose_page(tree: dict[str, Any]) -> None:
    """Turn the page on where its camera is the source, unless its address is given."""
    capture, web = tree.get("capture"), tree.setdefault("web", {})
    source = capture.get("source") if isinstance(capture, dict) else None
    if isinstance(source, str) and source == "browser" and source_kind(source) == "browser" and isinstance(web, dict):
        web["endpoint"] = web.get("endpoint") or DEFAULT_ENDPOINT


def choose_screen(tree: dict[str, Any], environ: Mapping[str, str]) -> None:
    """Put true or false in the place of "auto"; without a screen, turn the page on unless its address is given."""
    renderer = tree.get("renderer")
    if not isinstance(renderer, dict) or renderer.get("window") != "auto":
        return
    has_screen = bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))
    renderer["window"] = has_screen
    web = tree.setdefault("web", {})
    if not has_screen and isinstance(web, dict) and not web.get("endpoint"):
        web["endpoint"] = DEFAULT_ENDPOINT
