"""Rounds of roll-outs and fits in, the window network of `lite` out: what `fit_lite.py --windows` does.

Round 0: objects are followed by the pixel network alone, and a network is fitted to their windows. Round 1: further
clips, followed by that network, whose mistakes are other ones; the fit goes on with all windows.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from nodes.decoder.lite.fusion import fuse_pixels
from nodes.decoder.lite.window_network import WindowNetwork
from stream.errors import ConfigError
from tools.roll_outs import follow_unseen_clip
from tools.window_data import WindowRef, store_windows
from tools.window_fitting import PARTS, Plan, fit_in_parallel, load_model, start_fit


@dataclass(frozen=True)
class Round:
    """Clips to draw, and steps of the fit that follows."""

    clips: int
    steps: int
    rate: float


ROUNDS = (Round(120, 1500, 2e-3), Round(90, 1500, 1.5e-3), Round(40, 700, 1e-3))
SHARE = 0.7  # of what the last network adds, that ships: where a picture is unlike all drawn ones, it is too sure
FIRST_CLIPS = 1000  # the pixel networks that ship were fitted to clips 0 to 159


def fit_windows(options: argparse.Namespace, folder: Path) -> bytes:
    """The network as an ONNX file; windows and the networks of all rounds stay in the folder."""
    windows: list[WindowRef] = []
    driver, fit, seed = None, None, FIRST_CLIPS * (1 + options.seed)
    with processes(options.jobs) as drawers, processes(PARTS) as fitters:
        for i, plan in enumerate(ROUNDS):
            clips = options.clips or plan.clips
            here = folder / f"round-{i}"
            here.mkdir(parents=True, exist_ok=True)
            windows += draw_windows(drawers, range(seed, seed + clips), driver, here)
            if not windows:
                raise ConfigError(f"--clips {clips}: nothing to follow in so few; draw more clips")
            fit = fit or start_fit(windows, options.seed)
            steps = plan.steps * clips // plan.clips or 1
            plan_of_fit = Plan(windows, steps, plan.rate, options.seed)
            fit = fit_in_parallel(fitters, fit, plan_of_fit, here / "fit.pt")
            driver, seed = here / "network.onnx", seed + clips
            driver.write_bytes(load_model(fit).to_onnx())
        assert fit is not None, "there are rounds"
        driver = folder / "network.onnx"
        driver.write_bytes(load_model(fit).to_onnx(SHARE))
        scores = list(drawers.map(partial(follow_unseen, driver), range(options.check)))
    if scores:
        pixels, both = 100 * np.nanmean(scores, axis=0)
        print(f"mean J of {len(scores)} unseen clips: {both:.1f}; with the pixel network alone {pixels:.1f}")
    return driver.read_bytes()


def draw_windows(pool: Executor, seeds: range, driver: Path | None, folder: Path) -> list[WindowRef]:
    """The windows of some clips, drawn in all processes; prints a line for every tenth of them."""
    began_s, windows = time.monotonic(), []
    for i, refs in enumerate(pool.map(partial(store_windows, driver=driver, folder=folder), seeds), start=1):
        windows += refs
        if i % max(1, len(seeds) // 10) == 0:
            print(f"{folder.name}: {i} of {len(seeds)} clips, {time.monotonic() - began_s:.0f} s", flush=True)
    return windows


def follow_unseen(network: Path, index: int) -> tuple[float, float]:
    """Mean IoU of the first object of an unseen clip: by the pixel network alone, and with the window network."""
    return follow_unseen_clip(index, fuse_pixels), follow_unseen_clip(index, WindowNetwork(network))


@contextmanager
def processes(count: int) -> Iterator[Executor]:
    """A pool of so many, each of one thread. Spawned: a process that was forked after PyTorch was loaded hangs."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=spawn, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield pool
