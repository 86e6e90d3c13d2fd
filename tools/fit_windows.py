#!/usr/bin/env python3
"""Fit the window network of the lite preset, on top of its pixel networks: drawn clips in, ONNX files out.

python tools/fit_windows.py --out DIR                             one seed, on a GPU where there is one
python tools/fit_windows.py --out DIR --seeds 0 1 2 --jobs 14     three of them, side by side
python tools/fit_windows.py --out DIR --size tiny                 a quick look

DIR/seed-S/network.onnx is each seed's network; DIR/best.onnx that of the seed which does best on the drawn validation
clips, to be copied to nodes/decoder/lite/follow_network.onnx; DIR/log.txt and DIR/report.json tell how it went. It
repeats bit for bit on machines of one kind, unless a deadline cuts it short. PyTorch is needed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

BEGAN_S = time.monotonic()
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools run from any folder
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(threads, "1")  # a process a core: threads below it would only wait for each other
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it, sums on a GPU differ from run to run

from nodes.decoder.lite import kernels  # noqa: F401 E402  compiled here once, not by each process
from stream.errors import ConfigError  # noqa: E402
from tools.report_command import exit_code_of, make_scratch, require_least  # noqa: E402

SHARED_MEMORY, ROOM = Path("/dev/shm"), 30e9  # bytes that windows and clips of the full size may take


class Tee:
    """A text file and the screen, as one."""

    def __init__(self, *files: TextIO) -> None:
        self.files = files

    def write(self, text: str) -> int:
        """Write to all of them, with the time."""
        stamp = f"{time.monotonic() - BEGAN_S:6.1f} s  " if text.strip() else ""
        for file in self.files:
            file.write(stamp + text)
        return len(text)

    def flush(self) -> None:
        """Flush all of them."""
        for file in self.files:
            file.flush()


def run(options: argparse.Namespace) -> None:
    """Train, choose, and write what came out."""
    try:
        from tools.fitting.window_fitting import GPU, find_device
    except ModuleNotFoundError as error:
        raise ConfigError(f"PyTorch is needed ({error}); install requirements.txt") from error
    from tools.fitting.window_rounds import SIZES, Pools, Training, WindowTraining, processes

    device = find_device()
    size = SIZES[options.size or ("full" if device is GPU else "small")]
    in_memory = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > ROOM
    scratch = make_scratch("fit_windows-", options.scratch or (SHARED_MEMORY if in_memory else None))
    fitters = len(options.seeds) * 2 if device is GPU else options.jobs
    print(f"{device.name}; {options.jobs} processes; clips and windows in {scratch}", flush=True)
    trainings = [Training(seed, options.out / f"seed-{seed}") for seed in options.seeds]
    for training in trainings:
        training.folder.mkdir(parents=True, exist_ok=True)
    try:
        with processes(options.jobs) as drawers, processes(fitters) as fitting:
            pools, ends_at = Pools(drawers, fitting, options.jobs, fitters), BEGAN_S + options.deadline_s
            results = WindowTraining(trainings, scratch, size, pools, device, ends_at).run()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    best = max(results, key=lambda r: r.figures.J)
    shutil.copyfile(best.network, options.out / "best.onnx")
    report = {str(r.seed): {"way": r.way, "share": r.share, **asdict(r.figures)} for r in results}
    (options.out / "report.json").write_text(json.dumps({"best": best.seed, "seeds": report}, indent=1) + "\n")
    print(f"seed {best.seed} does best: J {best.figures.J:.1f}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the answer is its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where networks and the log go")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], metavar="N", help="of the training (0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (all cores)")
    parser.add_argument("--size", choices=("tiny", "small", "full"), help="full on a GPU, small elsewhere")
    parser.add_argument(
        "--deadline-s", type=float, default=1e9, metavar="S", help="end by then with the best there is (never)"
    )
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="for clips and windows, up to 20 GB (memory, /tmp)")
    options = parser.parse_args(argv)

    def act() -> int:
        require_least(1, jobs=options.jobs)
        require_least(0, seeds=min(options.seeds))
        if options.deadline_s <= 0:
            raise ConfigError(f"--deadline-s is {options.deadline_s:g}; needs more than 0")
        if len(set(options.seeds)) < len(options.seeds):
            raise ConfigError("--seeds: each seed once")
        options.out.mkdir(parents=True, exist_ok=True)
        with (options.out / "log.txt").open("w") as log, redirect_stdout(Tee(log, sys.stdout)):
            run(options)
        return 0

    return exit_code_of("fit_windows", act)


if __name__ == "__main__":
    sys.exit(main())
