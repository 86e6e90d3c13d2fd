"""The command: arguments in, findings in lines or as JSON out; the exit code is 0 where nothing has to be mended."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from tools.doctor import feeds, machine, outputs, places
from tools.doctor.findings import Finding, look, ok

if TYPE_CHECKING:
    from stream.settings.config import Config

KEYS = {  # argument -> config key
    "source": "capture.source",
    "state": "supervisor.state",
    "record": "renderer.record",
    "mqtt": "mqtt.url",
    "webhook": "webhooks.urls",
    "rtsp_push": "renderer.rtsp_push",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `ctl.py doctor` takes: what of run_stream.py's arguments it looks at."""
    parser.add_argument("config", nargs="?", default="lite", metavar="CONFIG", help="preset, or a .yaml file")
    parser.add_argument("--source", metavar="SOURCE", help="as of run_stream.py")
    parser.add_argument("--state", metavar="DIR", help="as of run_stream.py")
    parser.add_argument("--record", metavar="FILE.mp4", help="as of run_stream.py")
    parser.add_argument("--mqtt", metavar="URL", help="as of run_stream.py")
    parser.add_argument("--webhook", action="append", metavar="URL", help="as of run_stream.py")
    parser.add_argument("--rtsp-push", metavar="URL", help="as of run_stream.py")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", help="lay a value over the config")
    parser.add_argument("--no-camera", action="store_true", help="don't connect to the cameras")
    parser.add_argument("--json", action="store_true", help="findings as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Look at everything, and say it."""
    found = examine(arguments)
    worst = max((f.state for f in found), key=("ok", "warning", "problem").index)
    if arguments.json:
        print(json.dumps({"state": worst, "findings": [f.shown() for f in found]}, indent=1), flush=True)
    else:
        print("\n".join(_lines(found)), flush=True)
    return int(worst == "problem")


def examine(arguments: argparse.Namespace) -> list[Finding]:
    """All findings, in the order in which they are to be mended."""
    clock = machine.Clock()
    found = look("python", machine.python)
    configs: list[Config] = []

    def read_config() -> Iterable[Finding]:
        configs.append(_load(arguments))
        yield ok("config", f"{arguments.config}: {_describe(configs[0])}")

    of_config = look("config", read_config)
    config = configs[0] if configs else None
    found += look("packages", lambda: machine.packages(config))
    found += of_config
    found += look("user", machine.user)
    found += look("sockets", places.run_folder)
    if config is not None:
        found += _examine_config(config, arguments)
    return found + look("clock", clock.findings)


def _examine_config(config: Config, arguments: argparse.Namespace) -> list[Finding]:
    checks: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("permissions", lambda: places.secrets(config, arguments.config)),
        ("descriptors", lambda: machine.descriptors(config)),
        ("ports", lambda: places.ports(config)),
        ("folders", lambda: places.folders(config)),
        ("state", lambda: places.state(config)),
        ("weights", lambda: feeds.weights(config)),
        ("devices", lambda: feeds.devices(config)),
        ("mqtt", lambda: outputs.mqtt(config)),
        ("webhooks", lambda: outputs.webhooks(config)),
        ("push", lambda: outputs.pushes(config)),
    ]
    if not arguments.no_camera:
        checks.append(("camera", lambda: feeds.cameras(config)))
    return [finding for name, act in checks for finding in look(name, act)]


def _load(arguments: argparse.Namespace) -> Config:
    from stream.settings.presets import load, parse_override

    overrides = dict(parse_override(text) for text in arguments.set)
    given = {key: getattr(arguments, name) for name, key in KEYS.items()}
    overrides |= {key: value for key, value in given.items() if value is not None}
    return load(arguments.config, overrides)


def _describe(config: Config) -> str:
    from stream.settings.cameras import camera_configs

    own = camera_configs(config)
    models = sorted({f"{c.tracker.backend} and {c.decoder.backend}" for c in own.values()})
    return f"{', '.join(own)} with {'; '.join(models)}"


def _lines(found: list[Finding]) -> Iterable[str]:
    for finding in found:
        shown = finding.shown()
        yield f"{shown['state']:8} {shown['check']:12} {shown['text']}"
        if shown["mend"]:
            yield f"{'':8} {'':12} -> {shown['mend']}"
    problems, warnings = (sum(f.state == state for f in found) for state in ("problem", "warning"))
    yield f"{problems} to mend, {warnings} to look at" if problems or warnings else "all is well"
