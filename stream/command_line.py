"""Contract 1: argv in, a CommandLine (config, prompts, files to write) out; and what is printed at the end of a run."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stream.errors import ConfigError, SourceError
from stream.settings.addresses import source_kind, source_path
from stream.settings.config import Config
from stream.settings.options import MASK_BACKENDS, POINT_BACKENDS
from stream.settings.presets import load, parse_override, plain
from stream.settings.secrets import redact
from stream.settings.web_access import DEFAULT_ENDPOINT, check_web_files, check_web_packages
from stream.transport.descriptors import raise_descriptor_limit

if TYPE_CHECKING:
    from stream.topology import Graph

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
        help="demo | 0, /dev/video0 | rtsp://... | browser (the page's own camera) | FILE | FOLDER of frames | "
        "lavfi:testsrc2=...  (default: demo)",
    )
    g = p.add_argument_group("prompts: which objects to follow (more can be added while it runs: tools/ctl.py)")
    g.add_argument(
        "--point", action="append", default=[], metavar="[ID:]x,y[,0|1]", help="a point on (1) or off (0) an object"
    )
    g.add_argument("--box", action="append", default=[], metavar="[ID:]x1,y1,x2,y2", help="a box around an object")
    g.add_argument("--mask", default="", metavar="FILE.png", help="label image: each pixel the id of the object there")
    g.add_argument("--auto", type=int, metavar="N", help="find up to N objects on the first frame (SAM decoders)")
    g = p.add_argument_group("outputs")
    g.add_argument("--publish", metavar="ENDPOINT", help="where masks are published, for example tcp://127.0.0.1:5556")
    g.add_argument("--record", metavar="FILE.mp4", help="record the picture with its masks")
    g.add_argument("--save-masks", metavar="DIR", help="write a label image for each frame: 00000.png (DAVIS layout)")
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
    "web": "web.endpoint",
    "window": "renderer.window",
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
    return CommandLine(
        load(arguments.config, overrides),
        arguments.point,
        arguments.box,
        arguments.mask,
        arguments.summary,
        arguments.check,
    )


def check_start(config: Config) -> None:
    """Refuse what can't work before anything is started: nodes out of reach of each other, a file that is not there."""
    raise_descriptor_limit(threads=config.supervisor.threads)
    from stream.topology import wiring
    from stream.weights.published import check_there

    graph = wiring(config)
    graph.check()
    check_there(needed_weights(config, graph))
    if "web" in graph.nodes and graph.nodes["web"].here:
        check_web_packages()
        check_web_files(config.web)
    if not graph.nodes["capture"].here:
        return
    source = config.capture.source
    path = Path(source_path(source))
    if source_kind(source) == "file" and not path.exists():
        raise SourceError(f"--source {source}: no such file or folder; give a path that exists, or demo, rtsp://..., 0")


def needed_weights(config: Config, graph: Graph) -> list[str]:
    """The published weights that the nodes of this host load; files that the config names are theirs to check."""
    tracker, decoder = config.tracker, config.decoder
    names = []
    if graph.nodes["tracker"].here and not tracker.checkpoint:
        names.append(POINT_BACKENDS[tracker.backend].weights)
    if graph.nodes["decoder"].here and not decoder.checkpoint:
        names.append(MASK_BACKENDS[decoder.backend].weights.format(model=decoder.model))
    return [name for name in names if name]


def announce(config: Config) -> None:
    """The effective config opens the log: what differs from the defaults, and all of it in debug lines."""
    tree, usual = plain(config), plain(Config())
    changed = [
        f"{section}.{key}={json.dumps(value)}"
        for section, keys in tree.items()
        for key, value in keys.items()
        if value != usual[section][key]
    ]
    log.info("config: %s", redact(" ".join(changed)) or "the defaults")
    log.debug("config in full: %s", redact(json.dumps(tree)))


def conclude(command_line: CommandLine, summary: dict[str, Any], *, failed: bool) -> int:
    """Write the summary file, print what was done in a few lines (unless the error that comes next says it all).

    Returns the exit code: 1 where something that was asked for was not written.
    """
    sinks, written = summary.get("sinks", {}), summary.get("written", {})
    exit_code = int(any(state.startswith("failed") and key not in written for key, state in sinks.items()))
    if command_line.summary_file:
        try:
            Path(command_line.summary_file).write_text(json.dumps(summary, indent=1) + "\n")
        except OSError as error:
            exit_code = 1
            print(
                f"run_stream: --summary {command_line.summary_file}: can't be written ({error.strerror})",
                file=sys.stderr,
            )
    frames, latency = summary["frames"], summary["latency_ms"]
    if not frames["captured"] or (failed and not frames["decoded"]):
        return exit_code
    lines = [
        f"frames     {frames['captured']} captured, {frames['passed_over']} passed over, {frames['decoded']} decoded",
        f"rate       {summary['nodes']['decoder']['rate_hz']:.1f} frames/s",
        f"latency    p50 {latency['p50']:.1f} ms, p95 {latency['p95']:.1f} ms (capture to publish)",
    ]
    if "truth" in summary:
        lines.append(f"mean IoU   {summary['truth']['mean_iou']:.3f} with the truth of the demo scene")
    if summary["reconnects"]:
        lines.append(f"reconnects {summary['reconnects']}")
    restarts = sum(n["restarts"] for n in summary["nodes"].values())
    if restarts:
        lines.append(f"restarts   {restarts}")
    names = {"record": "video", "picture": "picture", "save_masks": "masks"}
    lines += [f"{names[key]:10} {_sink_line(state, written.get(key))}" for key, state in sinks.items()]
    print("\n".join(lines))
    return exit_code


def _sink_line(state: str, written: dict[str, Any] | None) -> str:
    """What the closing lines say of a sink: files that are there, and what failed."""
    if written is None:
        return state
    several = f" (the last of {written['files']} files)" if 1 < written["files"] < written["pictures"] else ""
    return f"{written['path']}{several}{'' if state == 'written' else ', then ' + state}"
