"""Rounds of roll-outs and fits in, window networks of `lite` out, one a training seed: what tools/fit_windows.py does.

Round 0: objects are followed by the pixel network alone, and a network is fitted to their windows. Each later round:
further clips, followed by that network, whose mistakes are other ones; the fit goes on with all windows. In the last
one, two are fitted: one to the inputs as they are, one to disturbed ones. Drawn clips with other surfaces choose
between them, and how much of what a network adds is used.

All training seeds have the same clips, which take longest to make; they differ in the first weights, in the roll-outs
from round 1 on, and in the order of the windows.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import TypeVar

import cv2

from stream.errors import ConfigError
from tools.clips.layered_scene import Variety
from tools.fitting.roll_outs import FRAMES
from tools.fitting.window_data import StoredClip, WindowRef, store_clip, store_windows
from tools.fitting.window_fitting import GPU, RATE, Device, Fit, Plan, fit_in_parallel, load_model, start_fit, warm_up
from tools.fitting.window_validation import SHARES, Figures, judge_on_clip

T = TypeVar("T")
FIRST_CLIP = 1000  # the pixel networks that ship were fitted to clips 0 to 159
FIRST_VALIDATION_CLIP = 200_000
VALIDATION_FRAMES = 40
ENOUGH_S, ENDING_S = 15.0, 5.0  # a round with less time than this is left out; what is left at the end
CLIP_S = 3.5  # of one process, roughly: to draw a clip, or to follow its objects for three seeds
MAY_TAKE = 2.0  # times its share of the time that is left, a part of the work may take
FIRST_SHARE = 0.8  # of what a network adds, until one is chosen
WAYS = {"plain": False, "disturbed": True}  # how the last fit goes


@dataclass(frozen=True)
class Round:
    """Clips to draw, and steps of the fit that follows."""

    clips: int
    steps: int
    rate: float


@dataclass(frozen=True)
class Size:
    """How much is done."""

    rounds: tuple[Round, ...]
    validation_clips: int
    validation_s: float  # of a deadline, that is left for them


SIZES = {
    "tiny": Size((Round(1, 2, 1e-3), Round(1, 2, 1e-3)), 1, 10),
    "small": Size((Round(120, 1500, RATE), Round(90, 1500, 1.5e-3), Round(40, 700, 1e-3)), 28, 240),
    "full": Size(
        (Round(200, 700, RATE), Round(160, 700, 1.5e-3), Round(120, 700, 1e-3), Round(80, 2500, 1e-3)), 28, 80
    ),
}


@dataclass
class Training:
    """One training seed's progress."""

    seed: int
    folder: Path  # for its networks
    windows: list[WindowRef] = field(default_factory=list)
    fits: dict[str, Fit] = field(default_factory=dict)  # by the way of fitting; one, before the last round
    networks: dict[str, Path] = field(default_factory=dict)  # the same, as files

    @property
    def driver(self) -> Path | None:
        """The network that leads roll-outs."""
        return self.networks.get("plain")

    def take(self, fit: Fit, way: str, name: str) -> None:
        """Take a round's fit, and write it under a name."""
        self.fits[way], self.networks[way] = fit, self.folder / f"{name}.onnx"
        self.networks[way].write_bytes(load_model(fit).to_onnx())
        self.write_network(way, FIRST_SHARE)  # in case that nothing is chosen any more

    def write_network(self, way: str, share: float) -> Path:
        """Write what ships, with so much of what it adds; the file."""
        file = self.folder / "network.onnx"
        file.write_bytes(load_model(self.fits[way]).to_onnx(share))
        return file


@dataclass(frozen=True)
class Pools:
    """Processes that draw and follow, and others that fit."""

    drawers: Executor
    fitters: Executor
    drawing_processes: int
    fitting_processes: int


@dataclass(frozen=True)
class Result:
    """A training seed's network, ready to ship."""

    seed: int
    way: str
    share: float
    figures: Figures
    network: Path


class WindowTraining:
    """Trains networks of several seeds side by side, until a deadline."""

    def __init__(
        self, trainings: Sequence[Training], scratch: Path, size: Size, pools: Pools, device: Device, ends_at: float
    ) -> None:
        self.trainings, self.scratch, self.size = trainings, scratch, size
        self.pools, self.device = pools, device
        self.ends_at = ends_at  # of time.monotonic

    def run(self) -> list[Result]:
        """Do all rounds, then choose."""
        seed, rounds = FIRST_CLIP, self.size.rounds
        if self.device is GPU:
            for _ in range(self.pools.fitting_processes):
                self.pools.fitters.submit(warm_up, self.device)
        drawn = self._draw(seed, rounds[0].clips)
        for i, plan in enumerate(rounds):
            follow_share, fit_share = self._shares_of_time(i)
            if i and self._left_s() < ENOUGH_S:
                _log(f"round {i}: left out, as there is no time for it")
                break
            self._follow(i, drawn, time.monotonic() + min(1.0, MAY_TAKE * follow_share) * self._left_s())
            seed, last = seed + plan.clips, i == len(rounds) - 1
            drawn = self._draw_validation() if last else self._draw(seed, rounds[i + 1].clips)
            self._fit(i, plan, list(WAYS) if last else ["plain"], min(1.0, MAY_TAKE * fit_share) * self._left_s())
        else:
            return self._choose(drawn)
        return self._choose(self._draw_validation())

    def _left_s(self) -> float:
        """Time for rounds."""
        return self.ends_at - time.monotonic() - self.size.validation_s

    def _shares_of_time(self, number: int) -> tuple[float, float]:
        """How much of the time that is left this round's clips may take, and how much of the rest its fit."""
        costs = []
        for i, plan in enumerate(self.size.rounds[number:], start=number):
            ways = len(WAYS) if i == len(self.size.rounds) - 1 else 1
            costs += [CLIP_S * plan.clips / self.pools.drawing_processes, ways * self.device.step_s * plan.steps]
        return costs[0] / sum(costs), costs[1] / sum(costs[1:])

    def _draw(self, first_seed: int, count: int) -> list[Future[StoredClip]]:
        seeds = range(first_seed, first_seed + count)
        return [self.pools.drawers.submit(store_clip, s, FRAMES, Variety.RICH, self.scratch) for s in seeds]

    def _draw_validation(self) -> list[Future[StoredClip]]:
        seeds = range(FIRST_VALIDATION_CLIP, FIRST_VALIDATION_CLIP + self.size.validation_clips)
        draw = partial(store_clip, frames=VALIDATION_FRAMES, variety=Variety.UNSEEN, folder=self.scratch)
        return [self.pools.drawers.submit(draw, s) for s in seeds]

    def _follow(self, number: int, drawn: Sequence[Future[StoredClip]], ends_at: float) -> None:
        """Give each training the windows of these clips."""
        began_s = time.monotonic()
        clips = collect(f"round {number}, clips", drawn, ends_at)
        shared = self.trainings[0].driver is None  # the pixel network leads: that is the same for all
        jobs = [
            (training, self.pools.drawers.submit(store_windows, clip, training.driver, training.seed, self.scratch))
            for clip in clips
            for training in (self.trainings[:1] if shared else self.trainings)
        ]
        found = collect(f"round {number}, roll-outs", [job for _, job in jobs], ends_at)
        for (training, _), refs in zip(jobs, found, strict=False):
            for one in self.trainings if shared else [training]:
                one.windows += refs
        for clip in clips[: len(found) // len(self.trainings)]:
            clip.file.unlink(missing_ok=True)
        if not self.trainings[-1].windows:
            raise ConfigError("nothing to follow in so few clips; draw more")
        counts = ", ".join(str(len(t.windows)) for t in self.trainings)
        _log(f"round {number}: {counts} windows in all, {time.monotonic() - began_s:.0f} s")

    def _fit(self, number: int, plan: Round, ways: Sequence[str], limit_s: float) -> None:
        """Fit each training's network to its windows, in each of some ways."""
        began_s = time.monotonic()

        def fit(job: tuple[Training, str, Fit]) -> Fit:
            training, way, start = job
            own = Plan(training.windows, plan.steps, plan.rate, training.seed, self.device, WAYS[way], limit_s)
            return fit_in_parallel(self.pools.fitters, start, own, f"round {number}, seed {training.seed}, {way}")

        # begun one after another: PyTorch's random numbers are the process's, not a thread's
        starts = [t.fits.get("plain") or start_fit(t.windows, t.seed) for t in self.trainings]
        jobs = [(t, way, start) for t, start in zip(self.trainings, starts, strict=True) for way in ways]
        with ThreadPoolExecutor(len(jobs)) as side_by_side:
            fits = list(side_by_side.map(fit, jobs))
        for (training, way, _), result in zip(jobs, fits, strict=True):
            training.take(result, way, f"round-{number}-{way}")
        _log(f"round {number}: fitted in {time.monotonic() - began_s:.0f} s")

    def _choose(self, drawn: Sequence[Future[StoredClip]]) -> list[Result]:
        """Per seed the network whose way and share do best, over all seeds, on clips that none was fitted to."""
        clips = collect("validation clips", drawn, self.ends_at - self.size.validation_s / 3)
        networks = [None, *(file for t in self.trainings for file in t.networks.values())]
        jobs = [self.pools.drawers.submit(judge_on_clip, c, file, SHARES) for c in clips for file in networks]
        parts = collect("validation", jobs, self.ends_at - ENDING_S)
        rows = [parts[k : k + len(networks)] for k in range(0, len(parts) - len(networks) + 1, len(networks))]
        curves = [[curve for part in row for curve in part] for row in rows if row[0]]
        if not curves:
            raise ConfigError("no validation clip has been followed in time; allow more of it")
        pixels, *others = (Figures.of_clips(of_way) for of_way in zip(*curves, strict=True))
        figures = dict(zip(product(networks[1:], SHARES), others, strict=True))
        _log(f"{len(curves)} unseen clips, by the pixel network alone: {pixels}")
        for (network, share), one in figures.items():
            assert network is not None, "those that were fitted"
            _log(f"{network.parent.name}/{network.name}, {share} of it: {one}")

        def mean_iou(way: str, share: float) -> float:
            return sum(figures[t.networks[way], share].J for t in self.trainings) / len(self.trainings)

        way, share = max(product(self.trainings[0].networks, SHARES), key=lambda choice: mean_iou(*choice))
        _log(f"chosen: {way}, {share} of what it adds; mean J {mean_iou(way, share):.1f}")
        return [
            Result(t.seed, way, share, figures[t.networks[way], share], t.write_network(way, share))
            for t in self.trainings
        ]


def collect(name: str, jobs: Sequence[Future[T]], ends_at: float) -> list[T]:
    """The results in order, until the end; what is not done by then is given up."""
    results: list[T] = []
    for job in jobs:
        try:
            results.append(job.result(timeout=max(0.05, min(ends_at - time.monotonic(), 1e6))))
        except FutureTimeoutError:
            break
    for job in jobs[len(results) :]:
        job.cancel()
    if len(results) < len(jobs):
        _log(f"{name}: time for {len(results)} of {len(jobs)} only")
    return results


def _log(text: str) -> None:
    print(text, flush=True)


@contextmanager
def processes(count: int) -> Iterator[Executor]:
    """A pool of so many, each of one thread. Spawned: a process that was forked after PyTorch was loaded hangs."""
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, mp_context=spawn, initializer=cv2.setNumThreads, initargs=(1,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
