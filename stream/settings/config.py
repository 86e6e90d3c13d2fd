"""Everything a run depends on, as frozen sections that check their values; `stream/settings/presets.py` reads them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from stream.settings.addresses import LIVE_KINDS, source_kind
from stream.settings.integrations import Mqtt, Webhooks
from stream.settings.section import Section as Section  # others take it from here
from stream.settings.zones import Zones

Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Natural = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
# the description is what an error says is needed
Device = Annotated[str, Meta(pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:NUMBER")]
PictureSize = Annotated[str, Meta(pattern=r"^\d+x\d+$", description="WIDTHxHEIGHT")]


class Capture(Section, frozen=True):
    """Where frames come from. Times are the numbers of the design."""

    source: str = "demo"
    # the name in topics and file names
    camera: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="1 to 64 characters out of A-Z a-z 0-9 . _ -")
    ] = "camera"
    realtime: bool = False  # play a file at its own rate, as a live source would
    frames: Natural = 0  # stop after so many frames; 0: no limit
    duration_s: Annotated[float, Meta(ge=0)] = 0.0  # stop so long after the first frame; 0: no limit
    wait_for_source: bool = False  # a live source that can't be opened at first is tried again and again
    open_timeout_s: Positive = 5.0
    read_timeout_s: Positive = 2.0
    backoff_s: Positive = 0.5  # doubles up to backoff_max_s
    backoff_max_s: Positive = 30.0
    backoff_jitter: Share = 0.2
    healthy_after_s: Positive = 30.0  # the back-off begins at its base again after so long without a break
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    udp_reorder_s: Annotated[float, Meta(ge=0, le=5)] = 0.2  # so long a UDP packet that is missing is waited for
    # what decodes the pictures of files and of the network; auto: a GPU where one can. `none` is software
    hwaccel: Literal["auto", "none", "vaapi", "cuda"] = "none"
    drop_corrupt: bool = False  # live: no mask is drawn from a picture that the decoder knows to be damaged
    # asked of a camera; empty: its default
    camera_size: Annotated[str, Meta(pattern=r"^(\d+x\d+)?$", description="WIDTHxHEIGHT, or nothing")] = ""
    camera_fps: Annotated[float, Meta(ge=0)] = 0.0  # asked of a camera; 0: its default
    folder_fps: Positive = 25.0  # of a folder of frames, which tells no rate of its own
    demo_size: PictureSize = "640x360"
    demo_fps: Positive = 25.0
    demo_frames: Count = 250  # 10 s
    demo_seed: Natural = 0
    demo_objects: bool = True  # where no prompt is given, the scene's three objects are followed
    demo_code: bool = False  # each frame shows its number as a code, so that an age can be read from a screen's pixels


class Tracker(Section, frozen=True):
    """How points are followed (paper, section 3.2)."""

    backend: Literal["lucas_kanade", "pips", "raft", "tapnet", "superglue", "lightglue"] = "lucas_kanade"
    horizon: Annotated[int, Meta(ge=2, le=64)] = 8  # frames in a window; the anchor is the first. PIPS sees at most 8
    # when a frame is answered: at once, or with its whole window; auto: at once on a live feed alone
    emit: Literal["auto", "frame", "horizon"] = "frame"
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
    flow_updates: Annotated[int, Meta(ge=1, le=64)] = 32  # raft: of the flow between two frames (SAM-PT: 32)
    # raft: a point whose way back misses by more px is hidden, at the cost of a second flow each frame; 0: off (SAM-PT)
    flow_check_px: Annotated[float, Meta(ge=0)] = 0.0
    # superglue, lightglue: keypoints of a frame, the strongest; 0: all (SAM-PT). The cost grows with the square
    max_keypoints: Natural = 2048
    # superglue, lightglue: which end of a match has to lie inside the mask that the object had on its reference frame:
    # the keypoint of that frame (reference), or that of the newest (target: SAM-PT, for objects that hardly move)
    match_end: Literal["reference", "target"] = "reference"
    # file of the official weights (pips: or folder; superglue, lightglue: folder with both files); empty: where
    # tools/fetch_weights.py puts them
    checkpoint: str = ""
    # all networks but tapnet (always 256x256): HEIGHTxWIDTH that frames are fitted into, px; native: the frame's own
    size: Annotated[str, Meta(pattern=r"^(native|\d+x\d+)$", description="HEIGHTxWIDTH or native")] = "576x1024"
    # float32 is the reference; only pips and raft compute in another
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    device: Device = "auto"  # of the point model; auto takes a GPU where there is one
    # pips: torch.compile, up to a minute at the start, faster afterwards; auto: on a GPU, but for float32
    compile: Literal["auto"] | bool = "auto"


class Decoder(Section, frozen=True):
    """How points become masks."""

    backend: Literal["lite", "sam", "hq_sam", "mobile_sam", "sam2", "edgetam"] = "lite"
    # The image encoder: of sam and hq_sam vit_b, vit_l, vit_h (hq_sam also vit_tiny); of sam2 the rest; edgetam has one
    model: Literal["vit_b", "vit_l", "vit_h", "vit_tiny", "tiny", "small", "base_plus", "large"] = "vit_h"
    checkpoint: str = ""  # file of the weights, or a folder with it; empty: where tools/fetch_weights.py puts them
    # px, longest side of the encoder's input; 1024 as trained, smaller is faster and coarser
    side: Annotated[int, Meta(ge=256, le=1024, multiple_of=64)] = 1024
    precision: Literal["float32", "bfloat16", "float16"] = "float32"  # of the image encoder; float32 is the reference
    device: Device = "auto"  # auto takes a GPU where there is one
    # torch.compile: up to a minute at the start, faster afterwards; auto: on a GPU, but for float32
    compile: Literal["auto"] | bool = "auto"
    refinement_passes: Natural = 12  # further passes with the box and the logits of the one before (paper, table 2)
    iou_threshold: Share = 0.7  # a mask that SAM itself rates lower is none
    others_as_negatives: bool = True  # the visible positives of the other objects
    max_others: Natural = 0  # of them at most, chosen at random; 0: all
    budget_ms: Literal["auto", "off"] | Positive = "auto"  # for one frame; auto: the feed's period on a live feed
    auto: Natural = 0  # find up to that many objects on the first frame by SAM's automatic mask generation
    auto_again: bool = False  # at each boundary too, for what no object covers, while fewer are followed
    auto_side: Count = 32  # points in a row of its grid; the cost grows with the square
    auto_iou: Share = 0.88  # predicted IoU of a mask, more than that; 0: any
    auto_stability: Share = 0.95  # IoU of the masks at logit +1 and -1, at least
    # lite: px that an object's surroundings are looked at in, larger ones shrunk; auto: 13,000, and 10,000 for a live
    # camera beside others
    window_px: Literal["auto"] | Annotated[int, Meta(ge=2_000, le=200_000)] = "auto"
    min_area_px: Natural = 25  # a mask this small never re-seeds (SAM-PT's own limit)
    max_growth: Positive = 3.0  # a boundary mask larger by more than the largest good one never re-seeds
    # doubt a mask that leaks, shrinks to a few px or misses its points; false: take each, as the paper does; auto: the
    # paper's way on a finished clip with SAM
    check_masks: Literal["auto"] | bool = "auto"
    lost_after_frames: Count = 8  # frames without a believable mask until an object counts as lost


class Renderer(Section, frozen=True):
    """Sinks for people. Each is off while its path is empty."""

    record: str = ""  # MP4; or a folder of segments that manages its space: see `recording`
    # of a file: a new recording after so long, named by its time; 0: one file
    segment_s: Annotated[float, Meta(ge=0)] = 0.0
    save_masks: str = ""  # folder for label images
    rtsp_push: str = ""  # rtsp://... of a server that takes a stream; empty: off
    push_overlay: bool = True  # masks are drawn into what is pushed; false: the picture as it came
    window: bool = False  # in a preset also auto: a window where there is a screen, else the page (web.endpoint)
    snapshots: str = "."  # folder that snapshots are written to
    picture: str = ""  # PNG of one frame with its masks, written at the end
    picture_frame: Natural = 100  # that frame, or the last one before it
    trail: Natural = 12  # frames that a point's trail goes back


class Publisher(Section, frozen=True):
    """Sinks for programs: the PUB socket of docs/protocol.md."""

    endpoint: str = ""  # empty: ipc in the run's own folder, which tools/watch.py finds by itself
    codec: Literal["packbits", "coco_rle", "png"] = "packbits"
    frames: bool = False  # publish frames/<camera> as JPEG as well
    scenes: bool = False  # publish scenes/<camera> while somebody subscribes to it: masks with their picture as JPEG
    jpeg_quality: Annotated[int, Meta(ge=1, le=100)] = 80


class Web(Section, frozen=True):
    """The page in the browser (docs/web.md): a server for people, and for programs that speak HTTP."""

    endpoint: str = ""  # HOST:PORT; empty: off
    passwords: str = ""  # file that `tools/ctl.py passwd` writes; empty: a link that works once is printed
    certificate: str = ""  # PEM, with its chain; with `key`, the page is served by HTTPS
    key: str = ""  # PEM
    insecure: bool = False  # allow other machines in without passwords and without HTTPS
    hosts: tuple[str, ...] = ()  # further names that the page is asked for by, as behind a proxy
    max_viewers: Annotated[int, Meta(ge=1, le=1024)] = 64  # pages and MJPEG streams at once
    metrics_token: str = ""  # file whose first line opens /metrics as a bearer token; empty: a login alone does


class Control(Section, frozen=True):
    """The ROUTER socket that takes requests."""

    endpoint: str = ""  # empty: ipc in the run's own folder, which tools/ctl.py finds by itself
    max_objects: Annotated[int, Meta(ge=1, le=65535)] = 64  # that are followed at once; each takes time and memory
    max_cameras: Annotated[int, Meta(ge=1, le=65535)] = 64  # that requests may bring a run to; each takes processes
    requests_per_s: Positive = 100.0  # of one client, once it has sent request_burst of them
    request_burst: Count = 1000


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
    state: str = ""  # folder that all of it outlives the run in; a journal beside it is read once, and left as it is


class Recording(Section, frozen=True):
    """Recordings of unattended runs, where `renderer.record` is a folder (docs/recording.md). 0: no limit."""

    when: Literal["continuous", "objects"] = "continuous"  # objects: only while one is in sight
    overlay: bool = False  # masks drawn into the picture; else a camera's own packets are copied where it sends some
    masks: bool = True  # write them beside the video, a line of JSON a frame
    segment_s: Positive = 60.0  # a new file at the first key frame after so long
    pre_s: Annotated[float, Meta(ge=0, le=60)] = 5.0  # objects: so much from before one was seen
    post_s: Annotated[float, Meta(ge=0)] = 10.0  # objects: so much after the last was seen
    max_days: Annotated[float, Meta(ge=0)] = 0.0  # older segments are deleted
    max_mb: Annotated[float, Meta(ge=0)] = 0.0  # that the recordings of a camera take; the oldest segments give way
    replay_masks: str = ""  # file of masks that are shown in place of new ones, with --source on the video beside it
    keep_free_mb: Annotated[float, Meta(ge=0)] = 1000.0  # of the disk; the oldest segments give way


class Graph(Section, frozen=True):
    """Where nodes run and how they are reached; the defaults are one host over ipc."""

    run: tuple[str, ...] = ()  # the nodes that this host starts; empty: all
    # node: a process for each; camera: one for all nodes of a camera, as threads; auto: node for one camera, camera for
    # several (docs/fleet.md)
    processes: Literal["node", "camera", "device", "auto"] = "auto"
    host: bool = True  # false: this host lends its nodes to the graph of another
    endpoints: dict[str, str] = {}  # topic -> tcp://host:port, where it leaves ipc
    keys: str = ""  # folder with graph.key (public) and graph.key_secret: CURVE on every tcp endpoint
    insecure: bool = False  # allow tcp beyond loopback without keys
    engine: Literal["local", "ray"] = "local"  # ray: the cameras' processes are placed on a cluster (docs/cluster.md)
    address: str = "127.0.0.1"  # ray: of this host, in numbers, as the other hosts of the cluster reach it
    cluster: str = "auto"  # ray: HOST:PORT of the cluster's head; auto: of the cluster that this host is in
    place_within_s: Positive = 30.0  # ray: a camera that has no place by then is told why, and has failed if it is new


class Placement(Section, frozen=True):
    """What a camera's process takes of a host, where `graph.engine` is ray."""

    cpus: Positive = 1.0
    cameras_per_gpu: Natural = 0  # that share a GPU, each with 1/n of it; 0: it needs none
    resources: dict[str, float] = {}  # named when a host joins the cluster: the network of a camera, for example
    threads: Natural = 0  # of the libraries that compute; 0: as many as cpus


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
    web: Web = Web()
    control: Control = Control()
    supervisor: Supervisor = Supervisor()
    graph: Graph = Graph()
    placement: Placement = Placement()
    log: Log = Log()
    recording: Recording = Recording()
    zones: Zones = Zones()
    mqtt: Mqtt = Mqtt()
    webhooks: Webhooks = Webhooks()

    @property
    def publishes_scenes(self) -> bool:
        """Whether pictures go out together with their masks: where it is asked for, and where something shows them."""
        shown = self.web.endpoint or (self.mqtt.url and self.mqtt.snapshot_s)
        return self.publisher.scenes or bool(shown)

    @property
    def live(self) -> bool:
        """True when frames that nobody takes in time are passed over; False when every frame is waited for."""
        return self.capture.realtime or source_kind(self.capture.source) in LIVE_KINDS


class FleetConfig(Config, frozen=True, kw_only=True):
    """Several cameras in one run: what they have in common, and each camera's whole config by its name."""

    cameras: dict[str, Config]


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) of "WIDTHxHEIGHT"."""
    width, height = text.split("x")
    return int(height), int(width)


def parse_fit_size(text: str) -> tuple[int, int] | None:
    """(height, width) of `tracker.size`, "HEIGHTxWIDTH"; None of "native"."""
    if text == "native":
        return None
    height, width = text.split("x")
    return int(height), int(width)
