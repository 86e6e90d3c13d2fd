"""The cameras and the weights of a config: whether pictures come, which, and how many a second."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLong
from typing import TYPE_CHECKING

from tools.doctor.findings import Finding, look, ok, problem, refused, warning

if TYPE_CHECKING:
    from nodes.capture.source import Source, SourceInfo
    from stream.settings.config import Config

LOOK_S = 2.0  # so long a live source is read
ANSWER_S = 10.0  # beside its own timeouts, until a source counts as hung
SLOW_SHARE = 0.8  # of the rate that a camera promises
AT_ONCE = 8  # cameras that are looked at at the same time
PLAYED = ("h264", "av1", "vp9")  # what browsers play of a recording that is copied


def cameras(config: Config, seconds: float = LOOK_S) -> Iterator[Finding]:
    """Whether each camera gives pictures."""
    from stream.settings.cameras import camera_configs

    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="camera")
    own = camera_configs(config)
    asked = {name: pool.submit(_look_at, name, camera, seconds) for name, camera in own.items()}
    for name, answer in asked.items():
        capture = own[name].capture
        most_s = ANSWER_S + capture.open_timeout_s + 2 * capture.read_timeout_s + seconds
        try:
            yield from answer.result(most_s * -(-len(own) // AT_ONCE))
        except TooLong:
            yield problem("camera", f"{name}: does not answer, and does not say no", "switch it off and on")
    pool.shutdown(wait=False, cancel_futures=True)


def _look_at(name: str, config: Config, seconds: float) -> list[Finding]:
    from nodes.capture.sources import make_source
    from stream.settings.addresses import source_kind

    if source_kind(config.capture.source) == "browser":
        return [ok("camera", f"{name}: a page's own camera, which is there when a page sends")]
    return look("camera", lambda: source_findings(name, config, make_source(config.capture), seconds))


def source_findings(
    name: str, config: Config, source: Source, seconds: float, clock: Callable[[], float] = time.monotonic
) -> list[Finding]:
    """What a source says of itself, and whether it keeps its word."""
    from stream.errors import SourceError

    try:
        info = source.open()
        frames, began_s = 0, clock()
        while source.live and clock() - began_s < seconds and source.read() is not None:
            frames += 1
        rate = frames / max(1e-9, clock() - began_s) if source.live else None
    except SourceError as error:
        return [refused("camera", error, f"{name}: ")]
    finally:
        source.close()
    return _judge(name, config, info, rate)


def _judge(name: str, config: Config, info: SourceInfo, rate: float | None) -> list[Finding]:
    from stream.geometry import can_travel
    from stream.settings.recordings import recording_node

    height, width = info.size
    codec = f", {info.codec}" if info.codec else ""
    promised = f", {info.fps:.4g} frames/s" if info.fps else ""
    came = "" if rate is None else f"; {rate:.1f} came in a second"
    found = [ok("camera", f"{name}: {width}x{height}{codec}{promised}{came}")]
    if not can_travel(info.size):
        mend = "choose a smaller stream of it (the sub-stream)"
        found.append(problem("camera", f"{name}: {width}x{height} is more than can be carried", mend))
    if rate is not None and info.fps and rate < SLOW_SHARE * info.fps:
        text = f"{name}: promises {info.fps:.4g} frames/s, and {rate:.1f} came"
        found.append(warning("camera", text, "look at its network, and at what else reads it"))
    if info.codec and recording_node(config) == "capture" and info.codec not in PLAYED:
        text = f"{name}: sends {info.codec}, which few browsers play; recordings are copies of it"
        found.append(warning("camera", text, "choose H.264 in the camera's settings, or recording.overlay: true"))
    return found


def weights(config: Config) -> Iterator[Finding]:
    """Whether the weights that the config needs are there, and are what was published."""
    from stream.console.start_checks import needed_weights
    from stream.settings.cameras import camera_configs
    from stream.topology import wiring
    from stream.weights.published import folder, published
    from stream.weights.verifying import verify

    names = {name for own in camera_configs(config).values() for name in needed_weights(own, wiring(own))}
    if not names:
        yield ok("weights", "none are needed, or the config names files of its own")
    for name in sorted(names):
        checkpoint = published(name)
        path = folder() / checkpoint.file
        mend = f"python tools/fetch_weights.py {name}"
        if not path.is_file():
            yield problem("weights", f"{name}: {path} is not there", mend)
            continue
        verdict = verify(path, checkpoint)
        text = f"{name}: {verdict.words}"
        yield ok("weights", text) if verdict.right else problem("weights", text, f"rm {path}; {mend}")


def devices(config: Config) -> Iterator[Finding]:
    """Whether the GPUs that the config names are there."""
    from stream.console.start_checks import check_gpu
    from stream.settings.cameras import camera_configs

    named = {
        (f"{section}.device", getattr(own, section).device)
        for own in camera_configs(config).values()
        for section in ("tracker", "decoder")
    }
    for key, device in sorted(named):
        if device.startswith("cuda"):
            check_gpu(key, device)
            yield ok("devices", f"{key} {device} is there")
