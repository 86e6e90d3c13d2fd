"""Several cameras in one run: memory and CPU a camera, rate and age, for each way to put nodes into processes."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.errors import ConfigError, StreamError, nearest
from tools.bench.rows import Row
from tools.bench.run import COMMAND, ask
from tools.bench.usage import pids_of_graph, pss_mb, usage

SIZE = "640x360"
# runs: one run a camera, with a process for each of its nodes; device: for cameras that share a model
MODES = ("runs", "node", "camera", "device", "threads")
BOX = (0.36, 0.35, 0.55, 0.65)  # of the picture: what is followed in each
MEMORY_TARGET_MB = 150.0
RATE_TARGET = 95.0  # % of the cameras' rate
PATIENCE_S = 180.0


@dataclass
class FleetRun:
    """One run_stream.py, and a client of its control socket."""

    process: subprocess.Popen[bytes]
    control: str
    log: Path
    cameras: tuple[str, ...]

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a request; an error's code under `error`."""
        return ask(self.control, method, **params)

    def follow(self, camera: str, box: list[float]) -> None:
        """Follow what is in the box, as soon as the camera has frames."""
        until_s = time.monotonic() + PATIENCE_S
        while "error" in self.ask("add_object", camera=camera, box=box):
            if self.process.poll() is not None or time.monotonic() > until_s:
                raise StreamError(f"{camera} does not run; its log ends: {self.log.read_text()[-800:]}")
            time.sleep(0.2)

    def statuses(self) -> Iterator[dict[str, Any]]:
        """What the run says of each camera."""
        for camera in self.cameras:
            yield self.ask("stats", camera=camera)


def measure(options: argparse.Namespace) -> list[Row]:
    """The rows of `benchmark.py fleet`."""
    for mode in options.modes.split(","):
        if mode not in MODES:
            raise ConfigError(f"--modes {options.modes}: no {mode!r}; {nearest(mode, MODES)}")
    with tempfile.TemporaryDirectory(prefix="spl-bench-") as folder:
        return [_measure_mode(mode, options, Path(folder)) for mode in options.modes.split(",")]


def _measure_mode(mode: str, options: argparse.Namespace, folder: Path) -> Row:
    width, height = map(int, SIZE.split("x"))
    box = [round(part * side, 1) for part, side in zip(BOX, (width, height) * 2, strict=True)]
    names = [f"camera{i}" for i in range(options.cameras)]
    with ExitStack() as stack:
        groups = [[name] for name in names] if mode == "runs" else [names]
        runs = [stack.enter_context(_run(mode, group, options, folder)) for group in groups]
        for run in runs:
            for camera in run.cameras:
                run.follow(camera, box)
        time.sleep(options.warm_up)
        pids = [pid for run in runs for pid in pids_of_graph(run.process.pid)]
        before_s, before = time.monotonic(), sum(usage(pid).cpu_s for pid in pids)
        time.sleep(options.seconds)
        cpu_s, elapsed_s = sum(usage(pid).cpu_s for pid in pids) - before, time.monotonic() - before_s
        memory_mb = sum(map(pss_mb, pids))
        statuses = [status for run in runs for status in run.statuses()]
    rates = [100 * status["recent"]["published_hz"] / options.fps for status in statuses]
    ages = [status["recent"]["latency_ms"]["p95"] for status in statuses]
    good = memory_mb / len(names) <= MEMORY_TARGET_MB and min(rates) >= RATE_TARGET
    return {
        "part": mode,
        "processes": len(pids),
        "MB a camera": round(memory_mb / len(names), 1),
        "CPU % a camera": round(100 * cpu_s / elapsed_s / len(names), 1),
        "rate %": round(min(rates), 1),
        "p95 ms": round(max(ages), 1),
        "target": f"{MEMORY_TARGET_MB:g} MB, {RATE_TARGET:g} %" if mode == "camera" else "",
        "met": "" if mode != "camera" else "yes" if good else "no",
    }


def _run(mode: str, cameras: list[str], options: argparse.Namespace, folder: Path) -> AbstractContextManager[FleetRun]:
    """A run of these cameras; without `cameras:` where each has a run of its own."""
    capture = {"source": "demo", "realtime": True, "demo_fps": options.fps, "demo_size": SIZE, "demo_objects": False}
    tree: dict[str, Any] = {"base": options.config, "capture": {**capture, "demo_frames": 1_000_000}}
    if mode == "runs":
        tree["capture"]["camera"] = cameras[0]
    else:
        tree["cameras"] = {camera: {"capture": {"demo_seed": i}} for i, camera in enumerate(cameras)}
        tree["graph"] = {"processes": "auto" if mode == "threads" else mode}
        tree["supervisor"] = {"threads": mode == "threads"}
    return fleet_run(f"{mode}-{cameras[0]}", cameras, tree, folder)


@contextmanager
def fleet_run(name: str, cameras: list[str], tree: dict[str, Any], folder: Path) -> Iterator[FleetRun]:
    """A run of the config that the tree is, ended with the `with` block; its files are in the folder."""
    config, control, log = folder / f"{name}.yaml", f"ipc://{folder}/{name}.control", folder / f"{name}.log"
    config.write_text(json.dumps(tree))
    with log.open("wb") as output:
        command = [*COMMAND, "--config", str(config), "--no-dashboard", "--set", f"control.endpoint={control}"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        print(f"{name}: {len(cameras)} cameras", file=sys.stderr)
        yield FleetRun(process, control, log, tuple(cameras))
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
