#!/usr/bin/env python3
"""Fit the lite preset's weights: drawn clips in, nodes/decoder/lite/fusion_weights.json out.

python tools/fit_lite.py                                   as shipped: seeded, about ten minutes on two quiet cores
python tools/fit_lite.py --clips 12 --out quick.json       a quick look

To follow: imitation with short roll-outs. Round 0: the tracker runs with a hand-set formula, begun anew from the truth
every few frames, and each pixel's cues are kept with its true label; the network is fitted to them. Round 1: the same
with that network driving. Longer roll-outs make it worse: labels of states that have drifted away teach it to distrust
good ones. To begin with: cues of clicks and boxes that are made of the truth. The mean J of whole unseen clips is told.
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
from nodes.decoder.lite.following import follow, region_of
from nodes.decoder.lite.frame_analysis import Picture
from nodes.decoder.lite.object_memory import Memory
from nodes.decoder.lite.prompt_masks import box_cues, point_cues
from nodes.decoder.lite.view import look_at, padded, shrunk
from stream.arrays import Array
from stream.errors import ConfigError, StreamError
from tools.clips.clip import Clip, draw_clip
from tools.evaluation.prompting import make_prompt, tight_box
from tools.network_fitting import BATCH, Samples, fit, joined, pick, written

FRAMES = 20  # of a clip
SIZES = {3: (360, 640), 11: (854, 480)}  # of every 16th clip; all others are 854x480
SAMPLES = 700  # pixels a frame: half anywhere in the window, half near the true outline
PROMPT_SAMPLES = 1600  # of a prompt
PROMPTS = 3  # of each kind and object
MIN_START_PX = 120  # an object that shows less is not begun with
MAX_OBJECTS = 2  # of a clip
HORIZONS = ((4, 13), (8, 21))  # frames between two truths, a round
EPOCHS = {"round 0": 3, "follow": 4, "points": 6, "box": 6}
STARTS = {"round 0": 0, "follow": 3, "points": 0, "box": 0}  # seeds of the first weights; of six tried
UNSEEN = 100_000  # seeds from here on are not fitted to

T = TypeVar("T")


def clip_of(seed: int) -> Clip:
    """One clip to learn from."""
    return draw_clip(seed, SIZES.get(seed % 16, (480, 854)), FRAMES)


def objects_of(clip: Clip) -> list[int]:
    """Labels of the objects that can be begun with on the first frame."""
    return [k for k in range(1, MAX_OBJECTS + 1) if np.count_nonzero(clip.labels[0] == k) >= MIN_START_PX]


def learnt_from(
    seed: int, weigh: fusion.Fusion, horizon: tuple[int, int], with_prompts: bool
) -> tuple[Samples, dict[str, Samples]]:
    """Every object of a clip, followed, truth taking over every few frames; and begun with, if asked for."""
    clip = clip_of(seed)
    parts = [s for k in objects_of(clip) for s in roll_out(clip, k, weigh, horizon, np.random.default_rng([seed, k]))]
    return joined(parts), prompted(clip, np.random.default_rng([seed, 7])) if with_prompts else {}


def roll_out(
    clip: Clip, label: int, weigh: fusion.Fusion, horizon: tuple[int, int], rng: np.random.Generator
) -> Iterator[Samples]:
    """Samples of each frame that one object is followed on."""
    memory, before, left = None, None, 0
    seen: list[Array] = []

    def noted(planes: Array) -> Array:
        seen.append(planes)
        return weigh(planes)

    for rgb, labels in zip(clip.frames, clip.labels, strict=True):
        picture = Picture(rgb, before)
        before, truth = picture.gray, (labels == label).astype(np.uint8)
        if memory is not None and left > 0:
            left -= 1
            step(memory, picture, noted)
            if seen:
                yield pick(seen.pop(), shrunk(truth, memory.view), rng, SAMPLES)
            else:
                left = 0
        if left == 0 and np.count_nonzero(truth) >= MIN_START_PX:
            left = int(rng.integers(*horizon))
            if memory is None or rng.random() < 0.5:
                memory = Memory.of(rgb, truth)
            else:  # keep what it learnt: colours of the first frame grow old in real clips, too
                view = look_at(rgb, padded(cv2.boundingRect(truth), picture.size))
                memory.keep(view, shrunk(truth, view))


def step(memory: Memory, picture: Picture, weigh: fusion.Fusion) -> Array:
    """Follow one frame, and learn from it; (H, W) uint8, the mask."""
    picture.attend([region_of(memory, picture)])
    picture.ground = picture.find_ground([memory.last_soft])
    candidate = follow(memory, picture, weigh)
    mask = np.zeros(picture.size, np.uint8)
    if candidate is not None:
        memory.keep(candidate.view, candidate.soft)
        memory.learn()
        x, y, width, height = candidate.window
        mask[y : y + height, x : x + width] = cv2.resize(candidate.logits, (width, height)) > 0
    return mask


def prompted(clip: Clip, rng: np.random.Generator) -> dict[str, Samples]:
    """Clicks and boxes on some frames of a clip, with and without the frame before."""
    parts: dict[str, list[Samples]] = {"points": [], "box": []}
    for label in objects_of(clip):
        for at in rng.choice(FRAMES - 1, PROMPTS, replace=False):
            now, other = (int(at), int(at) + 1) if rng.random() < 0.5 else (int(at) + 1, int(at))
            rgb, truth = clip.frames[now], (clip.labels[now] == label).astype(np.uint8)
            moves = rng.random() < 0.6
            if np.count_nonzero(truth) < MIN_START_PX:
                continue
            picture = Picture(rgb, Picture(clip.frames[other], None).gray) if moves else None
            xy, labels = clicks_on(truth, rgb, rng)
            crop, _, _, known = point_cues(rgb, xy, labels, None, picture)
            share = crop.shrink(truth.astype(np.float32))
            parts["points"].append(pick(known.planes, share, rng, PROMPT_SAMPLES))
            box = tight_box(truth)
            loose = rng.choice([0, 0.06]) * np.array(
                [box[0] - box[2], box[1] - box[3], box[2] - box[0], box[3] - box[1]]
            )
            x1, y1, x2, y2 = (np.array(box) + loose * rng.random(4)).tolist()  # people draw none too tight
            crop, _, known = box_cues(rgb, (x1, y1, x2, y2), picture)
            share = crop.shrink(truth.astype(np.float32))
            parts["box"].append(pick(known.planes, share, rng, PROMPT_SAMPLES))
    return {kind: joined(p) for kind, p in parts.items()}


def clicks_on(truth: Array, rgb: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """(N, 2) places, (N,) labels: eight clicks spread over the object and one beside it, or a few somewhere on it."""
    if rng.random() < 0.5:
        spread = make_prompt("points", 1, truth, rgb)
        assert spread.xy is not None, "clicks have places"
        assert spread.labels is not None, "clicks have labels"
        return spread.xy, spread.labels
    depth = cv2.distanceTransform(truth, cv2.DIST_L2, 3)
    beside = (truth == 0) & (cv2.blur(truth * 255, (41, 41)) > 0)
    clicks = []
    for places, count in ((depth > 0.3 * depth.max(), rng.integers(1, 6)), (beside, rng.integers(0, 3))):
        rows, columns = np.nonzero(places)
        at = rng.integers(0, len(rows), int(count) if len(rows) else 0)
        clicks.append(np.stack([columns[at], rows[at]], axis=1).astype(np.float32))
    return np.concatenate(clicks), np.repeat(np.array([1, 0], np.uint8), [len(c) for c in clicks])


def unseen_j(index: int, weigh: fusion.Fusion) -> float:
    """Mean IoU of the first object of an unseen clip, given on its first frame and followed to its end."""
    clip = clip_of(UNSEEN + index)
    if not objects_of(clip):
        return float("nan")
    truths = [(labels == objects_of(clip)[0]).astype(np.uint8) for labels in clip.labels]
    memory, picture, scores = Memory.of(clip.frames[0], truths[0]), Picture(clip.frames[0], None), []
    for rgb, truth in zip(clip.frames[1:], truths[1:], strict=True):
        picture = Picture(rgb, picture.gray)
        mask = step(memory, picture, weigh)
        union = np.count_nonzero(mask | truth)
        scores.append(np.count_nonzero(mask & truth) / union if union else 1.0)
    return float(np.mean(scores))


def run(options: argparse.Namespace) -> dict[str, object]:
    """Draw, prompt, follow and fit; the networks as JSON holds them."""
    seeds = range(options.seed * 1000, options.seed * 1000 + options.clips)
    with ProcessPoolExecutor(options.jobs) as pool:
        weigh: fusion.Fusion = fusion.hand_set
        data: list[Samples] = []
        out: dict[str, object] = {}
        for i, horizon in enumerate(HORIZONS):
            task = partial(learnt_from, weigh=weigh, horizon=horizon, with_prompts=i == 0)
            drawn = told(f"round {i}", pool.map(task, seeds), len(seeds))
            data += [followed for followed, _ in drawn]
            if i == 0:
                out = {kind: written(fitted(kind, [p[kind] for _, p in drawn])) for kind in ("points", "box")}
            weigh = network = fitted("round 0" if i == 0 else "follow", data)
        scores = told("unseen clips", pool.map(partial(unseen_j, weigh=network), range(options.check)), options.check)
    if scores:
        print(f"mean J of {len(scores)} unseen clips: {100 * np.nanmean(scores):.1f}")
    return {"follow": written(network), **out}


def fitted(name: str, parts: Sequence[Samples]) -> fusion.Network:
    """The network of that name; says how long it took."""
    start, data = time.monotonic(), joined([p for p in parts if len(p.truth)])
    if len(data.truth) < BATCH:
        raise ConfigError(f"--clips: {name} has {len(data.truth)} pixels, needs {BATCH}; draw more clips")
    network = fit(data, EPOCHS[name], STARTS[name])
    print(f"{name}: fitted to {len(data.truth)} pixels in {time.monotonic() - start:.0f} s", flush=True)
    return network


def told(name: str, results: Iterator[T], count: int) -> list[T]:
    """All results, with a line about every tenth part."""
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
