#!/usr/bin/env python3
"""Fit how the lite preset begins with clicks: drawn frames in, two networks and the weights of a choice out.

python tools/fit_clicks.py --out DIR                two quiet cores: half an hour
python tools/fit_clicks.py --out DIR --clips 20 --steps 40 --choices 10         a quick look

DIR/points_network.onnx and DIR/points_again_network.onnx belong to nodes/decoder/lite, DIR/click_choice.json to
nodes/decoder/lite/prompts. The networks are for the first and the second look at a prompt; the first stands on top of
the pixel network of tools/fit_lite.py, as that of tools/fit_windows.py does, without roll-outs: there is nothing to
follow yet. The choice is between the masks that single clicks may mean at the first look. Drawn frames with surfaces of
other kinds tell how good all three are. PyTorch is needed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # tools run from any folder
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(threads, "1")  # a process a core: threads below it would only wait for each other

import numpy as np  # noqa: E402

from nodes.decoder.lite import kernels  # noqa: F401 E402  compiled here once, not by each process
from nodes.decoder.lite.prompts.click_choice import WEIGHTS as CHOICE  # noqa: E402
from nodes.decoder.lite.window_network import FILES, WindowNetwork  # noqa: E402
from stream.errors import ConfigError  # noqa: E402
from tools.clips.layered_scene import Variety  # noqa: E402
from tools.evaluation.measures import region_similarity  # noqa: E402
from tools.fitting.choice_fitting import OneClick, choice_to_json, describe, draw_choices, fit_choice  # noqa: E402
from tools.fitting.click_data import store_clicks  # noqa: E402
from tools.fitting.progress import collect_results  # noqa: E402
from tools.fitting.window_data import WindowRef, read_window  # noqa: E402
from tools.report_command import exit_code_of, make_scratch, require_least  # noqa: E402

CLIPS, STEPS, CHOICE_CLIPS, UNSEEN_CLIPS = 700, 3000, 250, 60
FIRST_CLIP, FIRST_CHOICE, FIRST_CLIP_AGAIN = 300_000, 310_000, 320_000  # seeds that no other network has seen
FIRST_UNSEEN_CLIP = 400_000
SHARES = (0.0, 0.5, 0.7, 1.0)  # of what a network adds, that are measured
SHIPPED_SHARE = 0.7  # drawn frames alone would choose all of it (docs/lite.md)


@dataclass(frozen=True)
class Look:
    """One of the two looks at a prompt."""

    first_clip: int  # its seed
    file: Path  # of its network
    before: Path | None  # the network of the look before it


def run(options: argparse.Namespace) -> None:
    """Draw, fit, write and measure."""
    if importlib.util.find_spec("torch") is None:
        raise ConfigError("PyTorch is needed; install requirements.txt")
    from tools.fitting.window_rounds import processes

    first, second = (options.out / FILES[name].name for name in ("points", "points_again"))
    scratch = make_scratch("fit_clicks-", options.scratch)
    try:
        with processes(options.jobs) as pool:
            fit_network(pool, Look(FIRST_CLIP, first, None), options, scratch)
            fit_network(pool, Look(FIRST_CLIP_AGAIN, second, first), options, scratch)
            choices = choose_all(pool, range(FIRST_CHOICE, FIRST_CHOICE + options.choices), None, first)
            unseen = choose_all(pool, unseen_seeds(options), Variety.UNSEEN, first)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if not choices or not unseen:
        raise ConfigError("--choices, --unseen: no object in so few pictures; draw more")
    choice = fit_choice(choices)
    (options.out / CHOICE.name).write_text(json.dumps(choice_to_json(choice)) + "\n")
    print(f"{len(choices)} single clicks: {describe(choices, choice)}")
    print(f"{len(unseen)} on unseen frames: {describe(unseen, choice)}", flush=True)


def fit_network(pool: Executor, look: Look, options: argparse.Namespace, scratch: Path) -> None:
    """Fit the network of a look, write and measure it."""
    from tools.fitting import window_fitting as fitting

    windows = store_all(pool, look, range(look.first_clip, look.first_clip + options.clips), None, scratch)
    unseen = store_all(pool, look, unseen_seeds(options), Variety.UNSEEN, scratch)
    if len(windows) < fitting.BATCH:
        raise ConfigError(f"--clips: {len(windows)} prompts are too few; draw more clips")
    plan = fitting.Plan(windows, options.steps, fitting.RATE, options.seed, upside_down=False)
    fit = fitting.fit_in_parallel(pool, fitting.start_fit(windows, options.seed), plan, look.file.stem)
    model = fitting.load_model(fit)
    look.file.write_bytes(model.to_onnx())
    ious = np.mean(list(pool.map(partial(measure, file=look.file), unseen)), axis=0)
    for share, iou in zip(SHARES, ious, strict=True):
        print(f"{look.file.stem}: {share:g} of what it adds: IoU {100 * iou:.1f} on unseen frames", flush=True)
    look.file.write_bytes(model.to_onnx(SHIPPED_SHARE))
    for ref in windows + unseen:
        ref.file.unlink()


def unseen_seeds(options: argparse.Namespace) -> range:
    """Of the clips to measure on."""
    return range(FIRST_UNSEEN_CLIP, FIRST_UNSEEN_CLIP + options.unseen)


def store_all(pool: Executor, look: Look, seeds: range, variety: Variety | None, folder: Path) -> list[WindowRef]:
    """The prompts of all seeds' clips."""
    store = partial(store_clicks, first=look.before)
    parts = pool.map(store, seeds, varieties(seeds, variety), [folder] * len(seeds))
    return [ref for refs in collect_results(f"{look.file.stem}, prompts", parts, len(seeds)) for ref in refs]


def choose_all(pool: Executor, seeds: range, variety: Variety | None, network: Path) -> list[OneClick]:
    """The single clicks of all seeds' pictures."""
    parts = pool.map(draw_choices, seeds, varieties(seeds, variety), [network] * len(seeds))
    return [click for clicks in collect_results("single clicks", parts, len(seeds)) for click in clicks]


def varieties(seeds: range, variety: Variety | None) -> list[Variety]:
    """One for each seed; without one, plain and rich clips alternate."""
    return [variety or (Variety.RICH if seed % 2 else Variety.PLAIN) for seed in seeds]


def measure(ref: WindowRef, file: Path) -> list[float]:
    """The IoU (0..1) with the true mask of a prompt's window, for each share of what a network adds."""
    *planes, truth = read_window(ref).astype(np.float32)
    cues, logits = np.stack(planes[:-1]), planes[-1]
    added = WindowNetwork(file).refine(cues, logits) - logits
    return [region_similarity(truth > 0.5, logits + share * added > 0) for share in SHARES]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the answer is its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where they go")
    parser.add_argument("--clips", type=int, default=CLIPS, metavar="N", help=f"to fit to ({CLIPS})")
    parser.add_argument("--unseen", type=int, default=UNSEEN_CLIPS, metavar="N", help=f"to measure ({UNSEEN_CLIPS})")
    parser.add_argument("--choices", type=int, default=CHOICE_CLIPS, metavar="N", help=f"to choose by ({CHOICE_CLIPS})")
    parser.add_argument("--steps", type=int, default=STEPS, metavar="N", help=f"of a fit ({STEPS})")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the fit (0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (all cores)")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="for the windows, 3 GB (the system's)")
    options = parser.parse_args(argv)

    def act() -> int:
        require_least(1, **{name: getattr(options, name) for name in ("clips", "choices", "unseen", "steps", "jobs")})
        require_least(0, seed=options.seed)
        options.out.mkdir(parents=True, exist_ok=True)
        run(options)
        return 0

    return exit_code_of("fit_clicks", act)


if __name__ == "__main__":
    sys.exit(main())
