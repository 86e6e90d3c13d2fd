"""Contract 1: argv in, a CommandLine (config, prompts, files to write) out; and what is printed at the end of a run."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.console.output import keep_order
from stream.console.start_checks import check_start, needed_weights
from stream.errors import ConfigError
from stream.settings.config import Config, FleetConfig
from stream.settings.presets import load, parse_override, plain
from stream.settings.secrets import redact
from stream.settings.web_access import DEFAULT_ENDPOINT

__all__ = ["CommandLine", "announce", "check_start", "conclude", "needed_weights", "read_command_line"]

log = logging.getLogger("graph")


@dataclass(frozen=True)
class CommandLine:
    """What the command line asks for."""

    config: Config
    points: list[str]
    boxes: list[str]
    mask_file: str
    summary_file: str
    check: bool


class _Parser(argparse.ArgumentParser):
    """argparse, with our one-line errors."""

    def error(self, message: str) -> Any:
        raise ConfigError(f"{message}; `python run_stream.py --help` lists the arguments")


def _parser() -> _Parser:
    p = _Parser(
        prog="run_stream.py",
        allow_abbrev=False,
        description="Follow objects through a live feed; their masks go to a screen, a file and any other program.",
        epilog="exit codes: 0 finished or stopped, 1 failed while running, 2 bad arguments or config, "
        "3 a source, device or checkpoint could not be opened",
    )
    p.add_argument(
        "--config", default="lite", metavar="NAME", help="preset in configs/, or a .yaml file (default: lite)"
    )
    p.add_argument(
        "--source",
        metavar="SOURCE",
        help="demo | 0, /dev/video0 | rtsp://... | http(s)://... (MJPEG, HLS) | udp://, srt://, rtmp://... | "
        "browser (the page's own camera) | FILE | FOLDER of frames | lavfi:testsrc2=...  (default: demo)",
    )
    g = p.add_argument_group("prompts: which objects to follow (more can be added while it runs: tools/ctl.py)")
    g.add_argument(
        "--point", action="append", default=[], metavar="[ID:]x,y[,0|1]", help="a point on (1) or off (0) an object"
    )
    g.add_argument("--box", action="append", default=[], metavar="[ID:]x1,y1,x2,y2", help="a box around an object")
    g.add_argument("--mask", default="", metavar="FILE.png", help="label image: each pixel the id of the object there")
    g.add_argument("--auto", type=int, metavar="N", help="find up to N objects on the first frame (SAM decoders)")
    g.add_argument("--replay-masks", metavar="FILE", help="show the masks of a recording: NAME.masks.jsonl of --source")
    g = p.add_argument_group("outputs")
    g.add_argument("--publish", metavar="ENDPOINT", help="where masks are published, for example tcp://127.0.0.1:5556")
    g.add_argument("--record", metavar="FILE.mp4", help="record the picture with its masks; FOLDER/: segments")
    g.add_argument("--save-masks", metavar="DIR", help="write a label image for each frame: 00000.png (DAVIS layout)")
    g.add_argument("--rtsp-push", metavar="URL", help="push the picture with its masks to an RTSP server (H.264)")
    g.add_argument(
        "--mqtt", metavar="URL", help="tell an MQTT broker, and Home Assistant there: mqtt(s)://[USER:PASSWORD@]HOST"
    )
    g.add_argument(
        "--webhook", action="append", metavar="URL", help="send events there, signed by webhooks.secret (repeatable)"
    )
    g.add_argument(
        "--web",
        nargs="?",
        const=DEFAULT_ENDPOINT,
        metavar="HOST:PORT",
        help=f"serve a page to look and click in; the log says its address (default: {DEFAULT_ENDPOINT})",
    )
    g.add_argument("--window", action="store_true", default=None, help="show a window to click in")
    g.add_argument("--no-dashboard", action="store_true", help="plain log lines in the terminal")
    g = p.add_argument_group("run")
    g.add_argument(
        "--state",
        metavar="DIR",
        help="folder that objects, labels, zones and the index of recordings outlive the run in",
    )
    g.add_argument("--frames", type=int, metavar="N", help="stop after N frames")
    g.add_argument("--duration", type=float, metavar="S", help="stop S seconds after the first frame")
    g.add_argument("--realtime", action="store_true", default=None, help="play a file at its own rate, as a live feed")
    g.add_argument("--threads", action="store_true", default=None, help="all nodes in one process (debugging)")
    g.add_argument(
        "--set", action="append", default=[], metavar="a.b=c", help="lay a value over the config (repeatable)"
    )
    g.add_argument("--check", action="store_true", help="validate the arguments and the config, and exit")
    g.add_argument("--summary", default="", metavar="FILE.json", help="write the summary of the run")
    g.add_argument("--log-format", choices=("text", "json"), help="log lines as text or JSON")
    g.add_argument("--insecure", action="store_true", default=None, help="let other machines connect without keys")
    g.add_argument("--debug", action="store_true", default=None, help="show debug lines and tracebacks")
    return p


_KEYS = {  # argument -> config key
    "source": "capture.source",
    "auto": "decoder.auto",
    "publish": "publisher.endpoint",
    "record": "renderer.record",
    "save_masks": "renderer.save_masks",
    "rtsp_push": "renderer.rtsp_push",
    "mqtt": "mqtt.url",
    "webhook": "webhooks.urls",
    "web": "web.endpoint",
    "window": "renderer.window",
    "replay_masks": "recording.replay_masks",
    "state": "supervisor.state",
    "frames": "capture.frames",
    "duration": "capture.duration_s",
    "realtime": "capture.realtime",
    "threads": "supervisor.threads",
    "log_format": "log.format",
    "insecure": "graph.insecure",
    "debug": "log.debug",
}


def read_command_line(argv: list[str]) -> CommandLine:
    """The command line of `argv`; ConfigError says what is wrong with it."""
    arguments = _parser().parse_args(argv)
    overrides = dict(parse_override(text) for text in arguments.set)
    for name, key in _KEYS.items():
        value = getattr(arguments, name)
        if value is not None:
            overrides[key] = value
    if arguments.no_dashboard or arguments.log_format == "json":
        overrides["log.dashboard"] = False
    if arguments.debug:
        overrides.setdefault("log.level", "debug")
    if arguments.summary and not Path(arguments.summary).resolve().parent.is_dir():
        raise ConfigError(f"--summary {arguments.summary}: its folder does not exist")
    if arguments.summary and Path(arguments.summary).is_dir():
        raise ConfigError(f"--summary {arguments.summary}: is a folder; needs a file, for example summary.json")
    config = load(arguments.config, overrides)
    if isinstance(config, FleetConfig) and (arguments.point or arguments.box or arguments.mask):
        raise ConfigError(
            "--point, --box and --mask are of a run with one camera; of several, each is shown its objects by "
            "`python tools/ctl.py --camera NAME add ...`"
        )
    return CommandLine(
        config,
        arguments.point,
        arguments.box,
        arguments.mask,
        arguments.summary,
        arguments.check,
    )


def announce(config: Config) -> None:
    """The effective config opens the log: what differs from the defaults, and all of it in debug lines."""
    tree = plain(config)
    cameras = tree.pop("cameras", {})
    log.info("config: %s", redact(_differences(tree, plain(Config()))) or "the defaults")
    for name, own in cameras.items():
        log.info("config of %s: %s", name, redact(_differences(own, tree)) or "as that of the run")
    log.debug("config in full: %s", redact(json.dumps(plain(config))))


def _differences(tree: dict[str, Any], usual: dict[str, Any]) -> str:
    """What a config says beyond another one."""
    return " ".join(
        f"{section}.{key}={json.dumps(value)}"
        for section, keys in tree.items()
        for key, value in keys.items()
        if value != usual[section][key]
    )


def conclude(command_line: CommandLine, summary: dict[str, Any], *, failed: bool) -> int:
    """Write the summary file, print what was done in a few lines (unless the error that comes next says it all).

    These lines come after what the log has said, and before that error, which is the last line.

    Returns the exit code: 1 where something that was asked for was not written.
    """
    keep_order()
    cameras = summary.get("cameras")
    own = [summary] if cameras is None else list(cameras.values())
    exit_code = int(any(_has_failed_sink(camera) for camera in own))
    if command_line.summary_file:
        try:
            Path(command_line.summary_file).write_text(json.dumps(summary, indent=1) + "\n")
        except OSError as error:
            exit_code = 1
            print(
                f"run_stream: --summary {command_line.summary_file}: can't be written ({error.strerror})",
                file=sys.stderr,
            )
    for name, camera in [("", summary)] if cameras is None else list(cameras.items()):
        lines = _closing_lines(camera, failed=failed)
        if name and lines:
            print(f"{name}:")
        print("\n".join(lines), end="\n" if lines else "")
    keep_order()
    return exit_code


def _has_failed_sink(summary: dict[str, Any]) -> bool:
    written = summary.get("written", {})
    return any(state.startswith("failed") and key not in written for key, state in summary.get("sinks", {}).items())


def _closing_lines(summary: dict[str, Any], *, failed: bool) -> list[str]:
    """What was done, in a few lines; none where nothing was."""
    sinks, written = summary.get("sinks", {}), summary.get("written", {})
    frames, latency = summary["frames"], summary["latency_ms"]
    if not frames["captured"] or (failed and not frames["decoded"]):
        return []
    lines = [
        f"frames     {frames['captured']} captured, {frames['passed_over']} passed over, {frames['decoded']} decoded",
        f"rate       {summary['nodes']['decoder']['rate_hz']:.1f} frames/s",
        f"latency    p50 {latency['p50']:.1f} ms, p95 {latency['p95']:.1f} ms (capture to publish)",
    ]
    if "truth" in summary:
        lines.append(f"mean IoU   {summary['truth']['mean_iou']:.3f} with the truth of the demo scene")
    if summary["reconnects"]:
        lines.append(f"reconnects {summary['reconnects']}")
    if summary["restarts"]:
        lines.append(f"restarts   {summary['restarts']}")
    names = {"record": "video", "picture": "picture", "save_masks": "masks"}
    lines += [f"{names[key]:10} {_sink_line(state, written.get(key))}" for key, state in sinks.items()]
    return lines


def _sink_line(state: str, written: dict[str, Any] | None) -> str:
    """What the closing lines say of a sink: files that are there, and what failed."""
    if written is None:
        return state
    several = f" (the last of {written['files']} files)" if 1 < written["files"] < written["pictures"] else ""
    return f"{written['path']}{several}{'' if state == 'written' else ', then ' + state}"
