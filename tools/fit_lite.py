#!/usr/bin/env python3
"""Fit the lite preset's weights: drawn clips in, nodes/decoder/lite/fusion_weights.json out.

python tools/fit_lite.py                                   as shipped: seeded, about ten minutes on two quiet cores
python tools/fit_lite.py --clips 12 --out quick.json       a quick look

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
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools run from any folder
os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process a core: threads below it would only wait for each other

import cv2
import numpy as np

from nodes.decoder.lite import fusion
from nodes.decoder.lite.following import follow, reachable_window
from nodes.decoder.lite.frame_analysis import FrameAnalysis
from nodes.decoder.lite.object_memory import ObjectMemory
from nodes.decoder.lite.prompt_masks import collect_box_cues, collect_point_cues
from nodes.decoder.lite.view import make_view, pad_window, shrink_mask
from stream.arrays import Array
from stream.errors import ConfigError, StreamError
from tools.clips.clip import Clip, draw_clip
from tools.evaluation.first_prompts import make_prompt, tight_box
from tools.network_fitting import BATCH, Samples, fit_network, join_samples, network_to_json, sample_pixels

FRAMES = 20  # of a clip
SIZES = {3: (360, 640), 11: (854, 480)}  # of every 16th clip; all others are 854x480
SAMPLES = 700  # pixels a frame: half anywhere in the window, half near the true outline
PROMPT_SAMPLES = 1600  # of a prompt
PROMPTS = 3  # of each kind and object
MIN_START_PX = 120  # an object that shows less is not prompted for
MAX_OBJECTS = 2  # of a clip
ROLL_OUTS = ((4, 13), (8, 21))  # least and most frames between two restarts, a round
EPOCHS = {"round 0": 3, "follow": 4, "points": 6, "box": 6}
INITIAL_SEEDS = {"round 0": 0, "follow": 3, "points": 0, "box": 0}  # of the initial weights; the best of six
FIRST_UNSEEN_SEED = 100_000  # seeds from here on are not fitted to

T = TypeVar("T")


def draw_training_clip(seed: int) -> Clip:
    """One clip to fit to."""
    return draw_clip(seed, SIZES.get(seed % 16, (480, 854)), FRAMES)


def startable_objects(clip: Clip) -> list[int]:
    """Labels of the objects that show enough on the first frame to begin with."""
    return [k for k in range(1, MAX_OBJECTS + 1) if np.count_nonzero(clip.labels[0] == k) >= MIN_START_PX]


def draw_samples(
    seed: int, fuse: fusion.CueFusion, roll_out_frames: tuple[int, int], with_prompts: bool
) -> tuple[Samples, dict[str, Samples]]:
    """Samples of every object of a clip: followed, restarted every few frames; and of prompts, if wanted."""
    clip = draw_training_clip(seed)
    parts = [
        s
        for k in startable_objects(clip)
        for s in roll_out(clip, k, fuse, roll_out_frames, np.random.default_rng([seed, k]))
    ]
    return join_samples(parts), sample_prompts(clip, np.random.default_rng([seed, 7])) if with_prompts else {}


def roll_out(
    clip: Clip, label: int, fuse: fusion.CueFusion, roll_out_frames: tuple[int, int], rng: np.random.Generator
) -> Iterator[Samples]:
    """Samples of each frame that one object is followed on."""
    memory, previous_gray, frames_left = None, None, 0
    fused_planes: list[Array] = []  # the cues of this frame, where the object was followed

    def fuse_and_store(planes: Array) -> Array:
        fused_planes.append(planes)
        return fuse(planes)

    for rgb, labels in zip(clip.frames, clip.labels, strict=True):
        analysis = FrameAnalysis(rgb, previous_gray)
        previous_gray, truth = analysis.gray, (labels == label).astype(np.uint8)
        if memory is not None and frames_left > 0:
            frames_left -= 1
            step(memory, analysis, fuse_and_store)
            if fused_planes:
                yield sample_pixels(fused_planes.pop(), shrink_mask(truth, memory.view), rng, SAMPLES)
            else:
                frames_left = 0
        if frames_left == 0 and np.count_nonzero(truth) >= MIN_START_PX:
            frames_left = int(rng.integers(*roll_out_frames))
            if memory is None or rng.random() < 0.5:
                memory = ObjectMemory.from_mask(rgb, truth)
            else:  # keep the colours: those of the first frame grow old in real clips, too
                view = make_view(rgb, pad_window(cv2.boundingRect(truth), analysis.size))
                memory.store_mask(view, shrink_mask(truth, view))


def step(memory: ObjectMemory, analysis: FrameAnalysis, fuse: fusion.CueFusion) -> Array:
    """Follow one frame, and adapt to it; (H, W) uint8, the mask."""
    analysis.limit_flow_to([reachable_window(memory, analysis)])
    analysis.measure_background([memory.sample_mask])
    estimate = follow(memory, analysis, fuse)
    mask = np.zeros(analysis.size, np.uint8)
    if estimate is not None:
        memory.store_mask(estimate.view, estimate.soft_mask)
        memory.adapt()
        x, y, width, height = estimate.window
        mask[y : y + height, x : x + width] = cv2.resize(estimate.logits, (width, height)) > 0
    return mask


def sample_prompts(clip: Clip, rng: np.random.Generator) -> dict[str, Samples]:
    """Clicks and boxes on some frames of a clip, with and without the frame before it."""
    parts: dict[str, list[Samples]] = {"points": [], "box": []}
    for label in startable_objects(clip):
        for t in rng.choice(FRAMES - 1, PROMPTS, replace=False):
            now, other = (int(t), int(t) + 1) if rng.random() < 0.5 else (int(t) + 1, int(t))
            rgb, truth = clip.frames[now], (clip.labels[now] == label).astype(np.uint8)
            with_motion = rng.random() < 0.6
            if np.count_nonzero(truth) < MIN_START_PX:
                continue
            analysis = FrameAnalysis(rgb, FrameAnalysis(clip.frames[other], None).gray) if with_motion else None
            xy, labels = draw_clicks(truth, rgb, rng)
            crop, _, _, cues = collect_point_cues(rgb, xy, labels, None, analysis)
            share = crop.shrink(truth.astype(np.float32))
            parts["points"].append(sample_pixels(cues.planes, share, rng, PROMPT_SAMPLES))
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
        spread = make_prompt("points", 1, truth, rgb)
        assert spread.xy is not None, "clicks have positions"
        assert spread.labels is not None, "clicks have labels"
        return spread.xy, spread.labels
    depth = cv2.distanceTransform(truth, cv2.DIST_L2, 3)
    beside = (truth == 0) & (cv2.blur(truth * 255, (41, 41)) > 0)
    clicks = []
    for allowed, count in ((depth > 0.3 * depth.max(), rng.integers(1, 6)), (beside, rng.integers(0, 3))):
        rows, columns = np.nonzero(allowed)
        at = rng.integers(0, len(rows), int(count) if len(rows) else 0)
        clicks.append(np.stack([columns[at], rows[at]], axis=1).astype(np.float32))
    return np.concatenate(clicks), np.repeat(np.array([1, 0], np.uint8), [len(c) for c in clicks])


def follow_unseen_clip(index: int, fuse: fusion.CueFusion) -> float:
    """Mean IoU of the first object of an unseen clip, given on its first frame and followed to its end."""
    clip = draw_training_clip(FIRST_UNSEEN_SEED + index)
    if not startable_objects(clip):
        return float("nan")
    truths = [(labels == startable_objects(clip)[0]).astype(np.uint8) for labels in clip.labels]
    memory, analysis, scores = (
        ObjectMemory.from_mask(clip.frames[0], truths[0]),
        FrameAnalysis(clip.frames[0], None),
        [],
    )
    for rgb, truth in zip(clip.frames[1:], truths[1:], strict=True):
        analysis = FrameAnalysis(rgb, analysis.gray)
        mask = step(memory, analysis, fuse)
        union = np.count_nonzero(mask | truth)
        scores.append(np.count_nonzero(mask & truth) / union if union else 1.0)
    return float(np.mean(scores))


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
            fuse = network = fit_named("round 0" if i == 0 else "follow", data)
        unseen = pool.map(partial(follow_unseen_clip, fuse=network), range(options.check))
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


def collect_results(name: str, results: Iterator[T], count: int) -> list[T]:
    """All results; prints a line for every tenth of them."""
    out, start = [], time.monotonic()
    for i, result in enumerate(results, start=1):
        out.append(result)
        if i % max(1, count // 10) == 0:
            print(f"{name}: {i} of {count} clips, {time.monotonic() - start:.0f} s", flush=True)
    return out


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the answer is its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--out", type=Path, default=fusion.WEIGHTS, metavar="FILE", help="where the weights go")
    parser.add_argument("--clips", type=int, default=160, metavar="N", help="to fit to (160)")
    parser.add_argument("--check", type=int, default=8, metavar="N", help="unseen clips to measure on (8)")
    parser.add_argument("--seed", type=int, default=0, help="another one draws other clips (0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (all cores)")
    options = parser.parse_args(argv)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # here, before the processes part from this one: what is fitted may not depend on the cores
    try:
        if options.clips < 1 or options.jobs < 1 or options.check < 0 or not 0 <= options.seed < 100:
            raise ConfigError("--clips and --jobs must be 1 or more, --check 0 or more, --seed 0 to 99")
        if not options.out.absolute().parent.is_dir():
            raise ConfigError(f"--out {options.out}: the folder does not exist; make it first")
        options.out.write_text(json.dumps(run(options)) + "\n")
    except StreamError as error:
        print(f"fit_lite: error: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        cv2.setNumThreads(threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
