"""The cameras of one run: overlays over the rest of the config in, a whole Config of each out.

What the run has once (`ONCE`) no camera may set. What a camera writes must be its own: `{camera}` in a path stands for
its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import structs

from stream.errors import ConfigError, nearest
from stream.settings.addresses import source_kind
from stream.settings.config import Capture, Config, FleetConfig, Renderer
from stream.settings.recordings import is_folder

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEY = re.compile(r"cameras\.([A-Za-z0-9._-]{1,64})\.(\w+)\.(\w+)")
ONCE = {  # section -> its keys that are one for all cameras; None: all
    "web": None,
    "mqtt": None,
    "webhooks": None,
    "log": None,
    "graph": None,
    "publisher": ("endpoint",),
    "control": ("endpoint", "requests_per_s", "request_burst"),
    "supervisor": ("threads", "stop_timeout_s", "state"),
}
OWN_FILES = (
    ("supervisor", "journal"),
    ("renderer", "record"),
    ("renderer", "save_masks"),
    ("renderer", "picture"),
)
SNAPSHOTS = ("renderer", "snapshots")  # a folder that cameras may share
WRITTEN = (*OWN_FILES, ("renderer", "rtsp_push"))  # what two cameras would spoil for each other

WINDOW_PX = 10_000  # decoder.window_px of a live camera beside others: a step takes 0.7 of its time (docs/fleet.md)

Build = Callable[[dict[str, Any]], Config]


def camera_key(dotted: str) -> list[str] | None:
    """["cameras", NAME, SECTION, KEY] of `cameras.NAME.SECTION.KEY`, whose name may hold dots; None of another key."""
    match = _KEY.fullmatch(dotted)
    return ["cameras", *match.groups()] if match else None


def lay_over(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """A tree with another one's keys laid over it, section by section; the sections of each camera likewise."""
    laid = dict(under)
    for section, keys in over.items():
        below = laid.get(section)
        if not isinstance(keys, dict) or not isinstance(below, dict):
            laid[section] = keys
        elif section == "cameras":
            laid[section] = {**below, **{name: _lay_camera(below.get(name), own) for name, own in keys.items()}}
        else:
            laid[section] = {**below, **keys}
    return laid


def _lay_camera(under: Any, over: Any) -> Any:
    return lay_over(under, over) if isinstance(under, dict) and isinstance(over, dict) else over


def add_cameras(config: Config, tree: dict[str, Any], build: Build) -> FleetConfig:
    """The config with that of each camera, of the tree that they are laid over; ConfigError names camera and key."""
    overlays = tree["cameras"]
    if not isinstance(overlays, dict) or not overlays:
        raise ConfigError("cameras: needs a name for each camera, as in `cameras: {door: {capture: {source: ...}}}`")
    _refuse_parts(config)
    below = {section: keys for section, keys in tree.items() if section != "cameras"}
    cameras = {str(name): make_camera(str(name), below, overlay, build) for name, overlay in overlays.items()}
    own = {f.name: getattr(config, f.name) for f in structs.fields(Config)}
    whole = FleetConfig(**own, cameras=cameras)
    check_paths(whole)
    return whole


def make_camera(name: str, below: dict[str, Any], overlay: Any, build: Build) -> Config:
    """The config of one camera; ConfigError."""
    overlay = {} if overlay is None else overlay
    if not NAME.fullmatch(name) or not name.strip("."):
        raise ConfigError(f"cameras: {name!r} is no camera's name; needs 1 to 64 characters out of A-Z a-z 0-9 . _ -")
    if not isinstance(overlay, dict):
        raise ConfigError(f"cameras.{name}: needs sections with keys, as in `capture: {{source: ...}}`")
    _check_overlay(name, below, overlay)
    own = lay_over(below, overlay)
    own["capture"] = {**(own.get("capture") or {}), "camera": name}
    try:
        config = build(own)
    except ConfigError as error:
        is_key = str(error).partition(".")[0] in {f.name for f in structs.fields(Config)}
        raise ConfigError(f"cameras.{name}{'.' if is_key else ': '}{error}") from None
    if source_kind(config.capture.source) == "browser":
        raise ConfigError(f"cameras.{name}.capture.source is browser; the page's own camera needs a run of its own")
    if config.decoder.window_px == "auto" and config.live:
        config = structs.replace(config, decoder=structs.replace(config.decoder, window_px=WINDOW_PX))
    return _with_own_paths(config)


def _check_overlay(name: str, below: Mapping[str, Any], overlay: dict[str, Any]) -> None:
    """Refuse what a camera may not set, with its key in full."""
    sections = {f.name for f in structs.fields(Config)}
    for section, keys in overlay.items():
        if section not in sections:
            raise ConfigError(f"cameras.{name}.{section}: unknown key; {nearest(str(section), sections)}")
        if not isinstance(keys, dict):
            raise ConfigError(f"cameras.{name}.{section}: needs keys with values, got {keys!r}")
        once = ONCE.get(section, ())
        for key, value in keys.items():
            if (once is None or key in once) and not _is_same(below, section, key, value):
                raise ConfigError(
                    f"cameras.{name}.{section}.{key}: one for all cameras; set {section}.{key} beside `cameras`"
                )
    if (called := (overlay.get("capture") or {}).get("camera", name)) != name:
        raise ConfigError(f"cameras.{name}.capture.camera is {called!r}; the camera is called {name}: leave it out")


def refuse_files(name: str, config: Config, overlay: dict[str, Any]) -> None:
    """Refuse the overlay of a request that says where files are written: whoever may ask need not own the disk."""
    for section, key in (*OWN_FILES, SNAPSHOTS):
        keys = overlay.get(section)
        if isinstance(keys, dict) and key in keys and keys[key] != getattr(getattr(config, section), key):
            raise ConfigError(
                f"cameras.{name}.{section}.{key}: a request can't say where files are written; set {section}.{key} in "
                "the config, beside `cameras` with {camera} in it, or for this camera, and `reload`"
            )


def _is_same(below: Mapping[str, Any], section: str, key: str, value: Any) -> bool:
    """Whether a camera only repeats what is set for all: a config that was written out whole."""
    keys = below.get(section)
    return isinstance(keys, dict) and key in keys and bool(keys[key] == value)


def _with_own_paths(config: Config) -> Config:
    """The config with the camera's name for `{camera}` in what it writes."""
    for section, key in (*WRITTEN, SNAPSHOTS):
        own = getattr(config, section)
        path = str(getattr(own, key)).replace("{camera}", config.capture.camera)
        config = structs.replace(config, **{section: structs.replace(own, **{key: path})})
    return config


def check_paths(config: FleetConfig) -> None:
    """Refuse two cameras that would write to the same place; ConfigError."""
    writers: dict[tuple[str, str, str], str] = {}
    for name, camera in config.cameras.items():
        for section, key in WRITTEN:
            path = getattr(getattr(camera, section), key)
            if key == "record" and is_folder(path):
                continue  # each camera has a folder of its own in it
            if path and (other := writers.setdefault((section, key, path), name)) != name:
                raise ConfigError(
                    f"cameras {other} and {name} would both write {section}.{key} {path!r}; "
                    "put {camera} into the path, which stands for the name, or give each its own"
                )


def _refuse_parts(config: Config) -> None:
    """Refuse what is not there for several cameras."""
    graph = config.graph
    if graph.run or graph.endpoints or not graph.host:
        raise ConfigError(
            "graph.run, graph.endpoints and graph.host place the nodes of one camera; leave them out with `cameras`"
        )


def common_config(config: FleetConfig) -> FleetConfig:
    """What the nodes that a run has once are told: of a camera its name and where it records, no source."""
    supervisor = structs.replace(config.supervisor, journal="")
    own = structs.replace(config, supervisor=supervisor, renderer=Renderer(), capture=Capture())
    plain_camera = Config(**{f.name: getattr(own, f.name) for f in structs.fields(Config)})
    cameras = {
        name: structs.replace(plain_camera, capture=Capture(camera=name), renderer=Renderer(record=c.renderer.record))
        for name, c in config.cameras.items()
    }
    return structs.replace(own, cameras=cameras)


def camera_configs(config: Config) -> dict[str, Config]:
    """The config of each camera by name, also of the only one where there is no `cameras:`."""
    return config.cameras if isinstance(config, FleetConfig) else {config.capture.camera: config}
