#!/usr/bin/env python3
"""Fit the lite preset's pixel networks: drawn clips in, fusion_weights.json out.

python tools/fit_lite.py                               about ten minutes on two quiet cores
python tools/fit_lite.py --clips 12 --out quick.json   a quick look
python tools/fit_windows.py --out DIR                  then: the window network on top of them (needs PyTorch)

The network that follows objects: imitation with short roll-outs. Round 0: the model runs with a hand-set formula,
restarted from the true mask every few frames, and the cues of pixels are stored with their true labels; the network is
fitted to them. Round 1: the same, with that network in place of the formula. Longer roll-outs make it worse: masks that
have drifted away teach it to distrust good ones. The networks for prompts: cues of clicks and boxes that are made from
the true masks. At the end, the mean J of whole unseen clips is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools run from any folder
os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process a core: threads below it would only wait for each other

import cv2
import numpy as np

from nodes.decoder.lite import fusion
from nodes.decoder.lite.cues import Cues
from nodes.decoder.lite.frame_analysis import FrameAnalysis
from nodes.decoder.lite.prompts.click_masks import collect_point_cues
from nodes.decoder.lite.prompts.prompt_masks import collect_box_cues
from stream.arrays import Array
from stream.errors import ConfigError, StreamError
from tools.clips.clip import Clip
from tools.evaluation.first_prompts import tight_box
from tools.fitting.click_data import beside, click_inside, pick_pixels, spread_clicks
from tools.fitting.pixel_fitting import BATCH, Samples, fit_network, join_samples, network_to_json, sample_pixels
from tools.fitting.progress import collect_results
from tools.fitting.roll_outs import (
    MIN_START_PX,
    draw_training_clip,
    follow_unseen_clip,
    roll_out,
    startable_objects,
)
from tools.report_command import require_least

CLIPS = 160  # to fit to
MOST_SEED = 89  # a thousand clips each; unseen ones come after them
SAMPLES = 700  # pixels a frame: half anywhere in the window, half near the true outline
PROMPT_SAMPLES = 1600  # of a prompt
PROMPTS = 3  # of each kind and object
ROLL_OUTS = ((4, 13), (8, 21))  # least and most frames between two restarts, a round
EPOCHS = {"round 0": 3, "follow": 4, "points": 6, "box": 6}
INITIAL_SEEDS = {"round 0": 0, "follow": 3, "points": 0, "box": 0}  # of the initial weights; the best of six

T = TypeVar("T")


@dataclass(frozen=True)
class PixelFusion:
    """A network that sees one pixel's cues, as the live cores want it."""

    network: fusion.FusionNetwork

    def __call__(self, cues: Cues) -> Array:
        """(h, w) raw logits."""
        return self.network(cues.planes)


def draw_samples(
    seed: int, fuse: fusion.CueFusion, roll_out_frames: tuple[int, int], with_prompts: bool
) -> tuple[Samples, dict[str, Samples]]:
    """Samples of every object of a clip: followed, restarted every few frames; and of prompts, if wanted."""
    clip = draw_training_clip(seed)
    parts = []
    for k in startable_objects(clip):
        rng = np.random.default_rng([seed, k])
        for _, cues, truth in roll_out(clip, k, fuse, roll_out_frames, rng):
            parts.append(sample_pixels(cues.planes, truth, rng, SAMPLES))
    return join_samples(parts), sample_prompts(clip, np.random.default_rng([seed, 7])) if with_prompts else {}


def sample_prompts(clip: Clip, rng: np.random.Generator) -> dict[str, Samples]:
    """Clicks and boxes on some frames of a clip, with and without the frame before it."""
    parts: dict[str, list[Samples]] = {"points": [], "box": []}
    for label in startable_objects(clip):
        for t in rng.choice(len(clip.frames) - 1, PROMPTS, replace=False):
            now, other = (int(t), int(t) + 1) if rng.random() < 0.5 else (int(t) + 1, int(t))
            rgb, truth = clip.frames[now], (clip.labels[now] == label).astype(np.uint8)
            with_motion = rng.random() < 0.6
            if np.count_nonzero(truth) < MIN_START_PX:
                continue
            analysis = FrameAnalysis(rgb, FrameAnalysis(clip.frames[other], None).gray) if with_motion else None
            xy, labels = draw_clicks(truth, rgb, rng)
            clicked = collect_point_cues(rgb, xy, labels, None, analysis)
            share = clicked.crop.shrink(truth.astype(np.float32))
            parts["points"].append(sample_pixels(clicked.cues.planes, share, rng, PROMPT_SAMPLES))
            box = tight_box(truth)
            loose = rng.choice([0, 0.06]) * np.array(
                [box[0] - box[2], box[1] - box[3], box[2] - box[0], box[3] - box[1]]
            )
            x1, y1, x2, y2 = (np.array(box) + loose * rng.random(4)).tolist()  # people draw none too tight
            crop, _, cues = collect_box_cues(rgb, (x1, y1, x2, y2), analysis)
            share = crop.shrink(truth.astype(np.float32))
            parts["box"].append(sample_pixels(cues.planes, share, rng, PROMPT_SAMPLES))
    return {kind: join_samples(p) for kind, p in parts.items()}


def draw_clicks(truth: Array, rgb: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """(N, 2) positions, (N,) labels: eight clicks spread over the object and one beside, or a few somewhere on it."""
    if rng.random() < 0.5:
        spread = spread_clicks(1, truth, rgb)
        return spread.xy, spread.labels
    counts = int(rng.integers(1, 6)), int(rng.integers(0, 3))
    clicks = [click_inside(truth, counts[0], 0.3, rng), pick_pixels(beside(truth), counts[1], rng)]
    return np.concatenate(clicks), np.repeat(np.array([1, 0], np.uint8), [len(c) for c in clicks])


def run(options: argparse.Namespace) -> dict[str, object]:
    """Draw, prompt, follow and fit; the networks as JSON holds them."""
    seeds = range(options.seed * 1000, options.seed * 1000 + options.clips)
    with ProcessPoolExecutor(options.jobs) as pool:
        fuse: fusion.CueFusion = fusion.fuse_by_hand
        data: list[Samples] = []
        out: dict[str, object] = {}
        for i, roll_out_frames in enumerate(ROLL_OUTS):
            task = partial(draw_samples, fuse=fuse, roll_out_frames=roll_out_frames, with_prompts=i == 0)
            results = collect_results(f"round {i}", pool.map(task, seeds), len(seeds))
            data += [samples for samples, _ in results]
            if i == 0:
                out = {
                    kind: network_to_json(fit_named(kind, [p[kind] for _, p in results])) for kind in ("points", "box")
                }
            network = fit_named("round 0" if i == 0 else "follow", data)
            fuse = PixelFusion(network)
        unseen = pool.map(partial(follow_unseen_clip, fuse=fuse), range(options.check))
        scores = collect_results("unseen clips", unseen, options.check)
    if scores:
        print(f"mean J of {len(scores)} unseen clips: {100 * np.nanmean(scores):.1f}")
    return {"follow": network_to_json(network), **out}


def fit_named(name: str, parts: Sequence[Samples]) -> fusion.FusionNetwork:
    """The network of that name; prints how long it took."""
    start, data = time.monotonic(), join_samples([p for p in parts if len(p.truth)])
    if len(data.truth) < BATCH:
        raise ConfigError(f"--clips: {name} has {len(data.truth)} pixels, needs {BATCH}; draw more clips")
    network = fit_network(data, EPOCHS[name], INITIAL_SEEDS[name])
    print(f"{name}: fitted to {len(data.truth)} pixels in {time.monotonic() - start:.0f} s", flush=True)
    return network


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the answer is its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="where the weights go (where lite reads them)")
    parser.add_argument("--clips", type=int, default=CLIPS, metavar="N", help="to fit to (160)")
    parser.add_argument("--check", type=int, default=8, metavar="N", help="unseen clips to measure on (8)")
    parser.add_argument("--seed", type=int, default=0, help="another one draws other clips (0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (all cores)")
    options = parser.parse_args(argv)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # here, before the processes part from this one: what is fitted may not depend on the cores
    try:
        require_least(1, clips=options.clips, jobs=options.jobs)
        require_least(0, check=options.check, seed=options.seed)
        if options.seed > MOST_SEED:
            raise ConfigError(f"--seed is {options.seed}; needs {MOST_SEED} or less")
        out = options.out or fusion.WEIGHTS
        if not out.absolute().parent.is_dir():
            raise ConfigError(f"--out {out}: the folder does not exist; make it first")
        out.write_text(json.dumps(run(options)) + "\n")
    except StreamError as error:
        print(f"fit_lite: error: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        cv2.setNumThreads(threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
