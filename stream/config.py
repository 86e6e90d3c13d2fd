"""YAML presets and command-line overrides in, one frozen `Config` out, every value checked."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from stream.errors import ConfigError, nearest

CONFIG_DIR = Path(__file__).resolve().parent.parent / "configs"

Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Natural = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
DEVICE = r"^(auto|cpu|cuda(:\d+)?)$"
SourceKind = Literal["demo", "camera", "rtsp", "lavfi", "folder", "file"]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section of the config; unknown keys are refused."""


class Capture(Section, frozen=True):
    """Where frames come from. Times are the numbers of the design."""

    source: str = "demo"
    camera: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "camera"  # the name in topics and file names
    realtime: bool = False  # play a file at its own rate, as a live source would
    frames: Natural = 0  # stop after so many frames; 0: no limit
    duration_s: Annotated[float, Meta(ge=0)] = 0.0  # stop so long after the first frame; 0: no limit
    wait_for_source: bool = False  # a live source that can't be opened at first is tried again and again
    open_timeout_s: Positive = 5.0
    read_timeout_s: Positive = 2.0
    backoff_s: Positive = 0.5  # doubles up to backoff_max_s
    backoff_max_s: Positive = 30.0
    backoff_jitter: Share = 0.2
    healthy_after_s: Positive = 30.0  # the back-off starts anew after so long without a break
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    camera_size: Annotated[str, Meta(pattern=r"^(\d+x\d+)?$")] = (
        ""  # WIDTHxHEIGHT asked of a camera; empty: its default
    )
    camera_fps: Annotated[float, Meta(ge=0)] = 0.0  # asked of a camera; 0: its default
    folder_fps: Positive = 25.0  # of a folder of frames, which tells no rate of its own
    demo_size: Annotated[str, Meta(pattern=r"^\d+x\d+$")] = "640x360"
    demo_fps: Positive = 25.0
    demo_frames: Count = 250  # 10 s
    demo_seed: Natural = 0


class Tracker(Section, frozen=True):
    """How points are followed (paper, section 3.2)."""

    backend: Literal["lucas_kanade", "pips"] = "lucas_kanade"
    horizon: Annotated[int, Meta(ge=2, le=64)] = 8  # frames in a window; the anchor is the first. PIPS sees at most 8
    emit: Literal["frame", "horizon"] = "frame"
    reinit: bool = True  # draw the points anew from the mask at each horizon boundary
    reinit_variant: Literal["A", "B", "C", "D"] = "A"  # which frame of the horizon they are drawn on (paper, table 1)
    # where a point starts its next window: all at the boundary, or each at its last clearly visible frame (PIPS' own
    # rule); auto: the boundary with reinit, visible without
    link: Literal["auto", "boundary", "visible"] = "auto"
    positive_points: Count = 8
    negative_points: Natural = 1
    # points whose 3x3 patch is less alike than this are given up; 0: off (the paper tried 0.01 and found it harmful)
    patch_similarity: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    seed: Natural = 72  # of the random choices among query points
    wait_for_seed: Literal["auto", "always", "never"] = "auto"  # auto: a lossless source waits, a live one never does
    forward_backward_px: Positive = 1.0  # lucas_kanade: a point whose way back misses by more is hidden
    checkpoint: str = ""  # pips: file or folder of the official weights; empty: where tools/fetch_weights.py puts them
    # pips: HEIGHTxWIDTH that frames are fitted into, px; native: the frame's own
    size: Annotated[str, Meta(pattern=r"^(native|\d+x\d+)$")] = "576x1024"
    precision: Literal["float32", "bfloat16", "float16"] = "float32"  # pips: float32 is the reference
    device: Annotated[str, Meta(pattern=DEVICE)] = "auto"  # pips: auto takes a GPU where there is one


class Decoder(Section, frozen=True):
    """How points become masks."""

    backend: Literal["lite", "sam", "hq_sam", "mobile_sam"] = "lite"
    model: Literal["vit_b", "vit_l", "vit_h", "vit_tiny"] = "vit_h"  # sam, hq_sam: the image encoder; tiny: HQ alone
    checkpoint: str = ""  # file of the official weights; empty: where tools/fetch_weights.py puts them
    # px, longest side of the encoder's input; 1024 as trained, smaller is faster and coarser
    side: Annotated[int, Meta(ge=256, le=1024, multiple_of=64)] = 1024
    precision: Literal["float32", "bfloat16", "float16"] = "float32"  # of the image encoder; float32 is the reference
    device: Annotated[str, Meta(pattern=DEVICE)] = "auto"  # auto takes a GPU where there is one
    compile: bool = False  # torch.compile the image encoder: a minute or more at the start, faster afterwards
    refinement_passes: Natural = 12  # further passes with the box and the logits of the one before (paper, table 2)
    iou_threshold: Share = 0.7  # a mask that SAM itself rates lower is none
    others_as_negatives: bool = True  # the visible positives of the other objects
    max_others: Natural = 0  # of them at most, chosen at random; 0: all
    budget_ms: Literal["auto", "off"] | Positive = "auto"  # for one frame; auto: the feed's period on a live feed
    auto: Natural = 0  # find up to that many objects on the first frame by SAM's automatic mask generation
    auto_again: bool = False  # at each boundary too, for what no object covers, while fewer are followed
    auto_side: Count = 32  # points in a row of its grid; the cost grows with the square
    auto_iou: Share = 0.88  # predicted IoU of a mask, at least
    auto_stability: Share = 0.95  # IoU of the masks at logit +1 and -1, at least
    min_area_px: Natural = 25  # a mask this small never re-seeds (SAM-PT's own limit)
    max_growth: Positive = 3.0  # a boundary mask larger by more than the largest good one never re-seeds
    lost_after_frames: Count = 8  # frames without a believable mask until an object counts as lost


class Renderer(Section, frozen=True):
    """Sinks for people. Each is off while its path is empty."""

    record: str = ""  # MP4
    segment_s: Annotated[float, Meta(ge=0)] = 0.0  # a new recording after so long, named by its time; 0: one file
    save_masks: str = ""  # folder for label images
    window: bool = False
    snapshots: str = "."  # folder that snapshots are written to
    picture: str = ""  # PNG of one frame with its masks, written at the end
    picture_frame: Natural = 100  # that frame, or the last one before it
    trail: Natural = 12  # frames that a point's trail goes back


class Publisher(Section, frozen=True):
    """Sinks for programs: the PUB socket of docs/protocol.md."""

    endpoint: str = ""  # empty: ipc in the run's own folder, which tools/watch.py finds by itself
    codec: Literal["packbits", "coco_rle", "png"] = "packbits"
    frames: bool = False  # publish frames/<camera> as JPEG as well
    jpeg_quality: Annotated[int, Meta(ge=1, le=100)] = 80


class Control(Section, frozen=True):
    """The ROUTER socket that takes requests."""

    endpoint: str = ""  # empty: ipc in the run's own folder, which tools/ctl.py finds by itself


class Supervisor(Section, frozen=True):
    """How nodes are watched."""

    threads: bool = False  # all nodes in one process over inproc, for debugging and tests
    heartbeat_s: Positive = 1.0
    dead_after_s: Positive = 3.0
    step_timeout_s: Positive = 120.0  # a node that is inside one step for longer counts as hung
    max_restarts: Natural = 5  # in restart_window_s; one more and the node counts as failed
    restart_window_s: Positive = 60.0
    stop_timeout_s: Positive = 3.0  # SIGTERM, then so long until SIGKILL; the whole graph is gone within 5 s
    journal: str = ""  # file that objects outlive the run in ({camera}: its name); empty: they outlive restarts only


class Graph(Section, frozen=True):
    """Where nodes run and how they are reached; the defaults are one host over ipc."""

    run: tuple[str, ...] = ()  # the nodes that this host starts; empty: all
    host: bool = True  # false: this host lends its nodes to the graph of another
    endpoints: dict[str, str] = {}  # topic -> tcp://host:port, where it leaves ipc
    keys: str = ""  # folder with graph.key (public) and graph.key_secret: CURVE on every tcp endpoint
    insecure: bool = False  # allow tcp beyond loopback without keys


class Log(Section, frozen=True):
    """What is told while it runs."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"
    dashboard: bool = True  # a live table where there is a terminal
    debug: bool = False  # show tracebacks


class Config(Section, frozen=True):
    """Everything a run depends on."""

    capture: Capture = Capture()
    tracker: Tracker = Tracker()
    decoder: Decoder = Decoder()
    renderer: Renderer = Renderer()
    publisher: Publisher = Publisher()
    control: Control = Control()
    supervisor: Supervisor = Supervisor()
    graph: Graph = Graph()
    log: Log = Log()

    @property
    def live(self) -> bool:
        """True when frames that nobody takes in time are passed over; False when every frame is waited for."""
        return self.capture.realtime or source_kind(self.capture.source) in ("camera", "rtsp")


def source_kind(source: str) -> SourceKind:
    """Which kind of source a string names; ConfigError for a scheme that is none of ours."""
    if source == "demo":
        return "demo"
    if source.isdigit() or source.startswith("/dev/"):
        return "camera"
    if source.startswith("lavfi:"):
        return "lavfi"
    scheme = re.match(r"^([A-Za-z][A-Za-z0-9+.-]*)://", source)
    if scheme:
        if scheme[1].lower() in ("rtsp", "rtsps"):
            return "rtsp"
        if scheme[1].lower() != "file":
            raise ConfigError(
                f"--source {redact(source)}: unknown scheme {scheme[1]!r}; "
                "needs demo, a camera number or /dev/video*, rtsp://, a file, a folder of frames, or lavfi:GRAPH"
            )
    return "folder" if Path(source.removeprefix("file://")).is_dir() else "file"


# All up to the last @ may be user and password: a password may hold an @ or a / itself (help texts are let alone). Some
# cameras want both in the path or the query instead (`/user=admin&password=x`, `?pwd=x`).
_CREDENTIALS = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://)(?!\[?USER:PASSWORD)[^\s\"']*@")
_SECRETS = re.compile(r"(?i)\b((?:user(?:name)?|login|pass(?:word|wd)?|pwd|token|secret|key)=)[^&;\s/\"']+")


def redact(text: str) -> str:
    """`text` without the user names, passwords and tokens of the addresses in it."""
    return _SECRETS.sub(r"\1***", _CREDENTIALS.sub(r"\1***@", text)) if "://" in text else text


def load(preset: str, overrides: dict[str, Any] | None = None) -> Config:
    """The config of a preset name or a YAML file, with dotted `overrides` laid over it.

    A preset may name another with `base:`; its own keys are laid over that one's. ConfigError says which key is wrong.
    """
    tree = _read_preset(preset, ())
    for key, value in (overrides or {}).items():
        _lay(tree, key, value)
    return build(tree)


def build(tree: dict[str, Any]) -> Config:
    """The checked Config of a tree of plain values."""
    _check_keys(tree, Config, "")
    try:
        config = msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(_readable(str(error), tree)) from None
    _check(config)
    return config


def parse_override(text: str) -> tuple[str, Any]:
    """("a.b", value) of `a.b=value`, the value read as YAML."""
    import yaml

    key, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_][\w]*(\.[\w]+)+", key.strip()):
        raise ConfigError(f"--set {redact(text)}: needs SECTION.KEY=VALUE, for example --set tracker.horizon=8")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set {redact(text)}: the value is no YAML; quote it") from None


def plain(config: Config) -> dict[str, Any]:
    """The config as plain values, for a file or a log (credentials not yet redacted)."""
    tree: dict[str, Any] = msgspec.to_builtins(config)
    return tree


def _read_preset(name: str, seen: tuple[str, ...]) -> dict[str, Any]:
    import yaml

    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = CONFIG_DIR / f"{name}.yaml"
        if not path.is_file():
            known = [p.stem for p in CONFIG_DIR.glob("*.yaml")]
            raise ConfigError(f"--config {name}: no such preset; {nearest(name, known)} (or give a .yaml file)")
    if str(path) in seen:
        raise ConfigError(f"--config {name}: its `base` leads back to itself")
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise ConfigError(f"--config {name}: can't be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        raise ConfigError(f"--config {name}: no YAML{f' at line {where.line + 1}' if where else ''}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"--config {name}: needs sections with keys, got a {type(tree).__name__}")
    base = tree.pop("base", None)
    if base is None:
        return tree
    under = _read_preset(str(base), (*seen, str(path)))
    for section, keys in tree.items():
        if isinstance(keys, dict) and isinstance(under.get(section), dict):
            under[section] = {**under[section], **keys}
        else:
            under[section] = keys
    return under


def _lay(tree: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, key = dotted.split(".")
    for section in sections:
        inner = tree.setdefault(section, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{dotted}: {section} is no section")
        tree = inner
    tree[key] = value


def _check_keys(tree: Any, kind: Any, prefix: str) -> None:
    """Refuse keys that the struct does not have, with the nearest name."""
    if not isinstance(tree, dict):
        raise ConfigError(f"{prefix.rstrip('.')}: needs keys with values, got {tree!r}")
    fields = {f.name: f.type for f in msgspec.structs.fields(kind)}
    for key, value in tree.items():
        if key not in fields:
            raise ConfigError(f"{prefix}{key}: unknown key; {nearest(str(key), fields)}")
        if isinstance(fields[key], type) and issubclass(fields[key], Section):
            _check_keys(value, fields[key], f"{prefix}{key}.")


def _readable(error: str, tree: Any) -> str:
    """msgspec's sentence, key and value first: `tracker.horizon is 'x': expected int, got str`."""
    sentence, _, path = error.partition(" - at `$.")
    if not path:
        return sentence
    for key in path.rstrip("`").split("."):
        tree = tree.get(key) if isinstance(tree, dict) else tree
    return f"{path.rstrip('`')} is {redact(repr(tree))}: {sentence[0].lower()}{sentence[1:]}"


def _check(config: Config) -> None:
    """What no single key can tell."""
    c = config.capture
    if source_kind(c.source) == "rtsp" and re.search(r"\s", c.source):
        raise ConfigError(
            "--source: the rtsp address holds a space; write it as %20 (and other odd characters likewise)"
        )
    if c.backoff_max_s < c.backoff_s:
        raise ConfigError(
            f"capture.backoff_max_s is {c.backoff_max_s}; needs capture.backoff_s ({c.backoff_s}) or more"
        )
    if config.decoder.auto and config.decoder.backend == "lite":
        raise ConfigError("--auto needs a SAM decoder, which --config lite has not; give --config sam_pt or another")
    if config.supervisor.threads and config.renderer.window:
        raise ConfigError("--window needs a process of its own; leave out --threads")
    if config.tracker.backend == "pips" and config.tracker.horizon > 8:
        raise ConfigError(f"tracker.horizon is {config.tracker.horizon}; PIPS' weights see 8 frames: give 2 to 8")
    if config.tracker.backend == "pips" and config.tracker.size != "native":
        height, width = (int(n) for n in config.tracker.size.split("x"))
        if min(height, width) < 64:
            raise ConfigError(f"tracker.size is {config.tracker.size}; PIPS needs 64x64 px or more (HEIGHTxWIDTH)")
    for name in ("demo_size", "camera_size"):
        text = getattr(c, name)
        if text and min(parse_size(text)) < 64:
            raise ConfigError(f"capture.{name} is {text}; needs 64x64 or more")
    for key, endpoint in (
        ("publisher.endpoint", config.publisher.endpoint),
        ("control.endpoint", config.control.endpoint),
        *((f"graph.endpoints.{t}", e) for t, e in config.graph.endpoints.items()),
    ):
        if endpoint:
            check_endpoint(key, endpoint, secured=bool(config.graph.keys), insecure=config.graph.insecure)


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) of "WIDTHxHEIGHT"."""
    width, height = text.split("x")
    return int(height), int(width)


LOOPBACK = ("127.", "localhost", "[::1]")


def check_endpoint(key: str, endpoint: str, *, secured: bool, insecure: bool) -> None:
    """Refuse an address that is none, or that others could reach without keys."""
    transport, separator, address = endpoint.partition("://")
    if not separator or transport not in ("tcp", "ipc") or not address:
        raise ConfigError(f"{key} is {endpoint!r}; needs tcp://HOST:PORT or ipc://PATH")
    if transport == "ipc":
        if len(os.fsencode(address)) > 107:
            raise ConfigError(f"{key}: the path has {len(address)} characters; a socket's path has at most 107")
        return
    try:
        port = urlsplit(endpoint).port
    except ValueError:
        port = -1
    if port is None or port < 0:
        raise ConfigError(f"{key} is {endpoint!r}; needs a port, as in tcp://127.0.0.1:5556")
    if not address.startswith(LOOPBACK) and not secured and not insecure:
        raise ConfigError(
            f"{key} is {endpoint}, which other machines can reach; give graph.keys (CURVE), or --insecure to allow it"
        )
