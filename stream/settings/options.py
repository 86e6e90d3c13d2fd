"""A config in, what trackers, segmenters and budgets do out: the one place that decides by backend and by kind of feed.

There are two kinds of feed: a live one passes frames over rather than fall behind, a finished clip is read without
losing a frame. On a finished clip nobody waits, so the SAM presets follow the paper to the letter there, at any cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stream.settings.config import Config

MOST_LIVE_POINTS = 240  # with 300 objects at 640x360, 2700 points cost 60 ms a frame, and to draw them as much again

Emit = Literal["frame", "horizon"]
Link = Literal["boundary", "visible"]
Variant = Literal["A", "B", "C", "D"]


@dataclass(frozen=True)
class PointBackendFacts:
    """What is known of a point tracker without loading it."""

    weights: tuple[str, ...]  # the published weights that it loads, by name
    smallest_px: int  # a side of the frames that it sees
    most_frames: int = 64  # in a window
    halves: bool = False  # it also computes in bfloat16 and float16
    revises: bool = False  # a frame's points change as later frames of their window come
    matches: bool = False  # its points are matched keypoints, others on each frame
    requirements: str = "requirements.txt"  # the file that names its packages


POINT_BACKENDS = {
    "lucas_kanade": PointBackendFacts((), smallest_px=1, halves=True),  # no network: any precision is the same to it
    "pips": PointBackendFacts(("pips",), smallest_px=64, most_frames=8, halves=True, revises=True),
    "raft": PointBackendFacts(("raft",), smallest_px=128, halves=True),
    "tapnet": PointBackendFacts(("tapnet",), smallest_px=1, revises=True),
    "superglue": PointBackendFacts(
        ("superpoint", "superglue"), smallest_px=16, matches=True, requirements="requirements-trackers.txt"
    ),
    "lightglue": PointBackendFacts(
        ("disk", "lightglue_disk"), smallest_px=32, matches=True, requirements="requirements-trackers.txt"
    ),
}


@dataclass(frozen=True)
class BackendFacts:
    """What is known of a mask model without loading it."""

    weights: str  # the published weights that it loads, by name ({model}: decoder.model); empty: none
    learns: bool  # it keeps a memory of each object, so a frame is never decoded twice
    spares: bool  # its frames do not depend on each other, so that a slow one may leave some out
    finds: bool  # it can look for objects that no prompt names
    models: tuple[str, ...] = ()  # what decoder.model may be; none: the key is not read


MASK_BACKENDS = {
    "lite": BackendFacts("", learns=True, spares=False, finds=False),
    "sam": BackendFacts("sam_{model}", learns=False, spares=True, finds=True, models=("vit_b", "vit_l", "vit_h")),
    "hq_sam": BackendFacts(
        "hq_sam_{model}", learns=False, spares=True, finds=True, models=("vit_b", "vit_l", "vit_h", "vit_tiny")
    ),
    "mobile_sam": BackendFacts("mobile_sam", learns=False, spares=True, finds=True, models=("vit_tiny",)),
    "sam2": BackendFacts(
        "sam2_{model}", learns=False, spares=True, finds=True, models=("tiny", "small", "base_plus", "large")
    ),
    "edgetam": BackendFacts("edgetam", learns=False, spares=True, finds=True),
}


@dataclass(frozen=True)
class TrackerOptions:
    """How points are followed (paper, section 3.2); the defaults are those of a live feed."""

    horizon: int = 8  # frames in a window
    emit: Emit = "frame"  # a frame is answered at once, or with its whole window
    reinit: bool = True  # draw points anew from each boundary mask; off: only for objects that have none
    reinit_variant: Variant = "A"  # which frame of the horizon they are drawn on (paper, table 1)
    link: Link = "boundary"  # where a point starts its next window: all at the boundary, or where it was clear last
    positive_points: int = 8
    negative_points: int = 1
    patch_similarity: float = 0.0  # 0: no filter
    most_points: int = 0  # positive ones of all objects together: more objects get fewer each; 0: no limit
    seed: int = 72
    wait_for_seed: bool = False  # the next frame waits for the Seeds that are on their way
    redo_boundary: bool = False  # a boundary frame is decoded twice, the second time with the points drawn on it
    paced: bool = False  # frames are passed over evenly where the tracker is slower than its feed
    revises: bool = False  # the points of a frame change as later frames of their window come
    replays: bool = False  # the decoder has to see the frames since a prompt that names an older one


@dataclass(frozen=True)
class SegmenterOptions:
    """How points become masks, beside what the mask model itself says (`MaskModel.traits`)."""

    min_area_px: int = 25  # a mask this small never re-seeds (SAM-PT's own limit)
    max_growth: float = 3.0  # nor does one that has grown by more
    lost_after_frames: int = 8
    reinit_variant: Variant = "A"
    horizon: int = 8
    check_masks: bool = True  # False: every mask is shown and points are drawn from it, as in the paper


@dataclass(frozen=True)
class BudgetOptions:
    """How a decoder slower than its feed spends its time."""

    budget_ms: float | None  # for one frame; None: the feed's period
    refinement_passes: int  # at most


@dataclass(frozen=True)
class TurnOptions:
    """How many objects are decoded on a frame, where all would cost too much."""

    budget_ms: float | None  # for one frame; None: by the feed's period


@dataclass(frozen=True)
class DiscoveryOptions:
    """How objects that nobody asked for are looked for (--auto, and by request)."""

    max_objects: int  # alive, known ones included; 0: none are looked for but by request
    again: bool  # at each boundary, too
    horizon: int  # frames between two searches, at least


@dataclass(frozen=True)
class Options:
    """What the nodes of one camera do."""

    live: bool  # frames that nobody takes in time are passed over
    tracker: TrackerOptions
    segmenter: SegmenterOptions
    budget: BudgetOptions | None  # None: every frame is decoded in full
    turns: TurnOptions | None  # None: every object is decoded on each frame, or the budget decides
    discovery: DiscoveryOptions | None  # None: the mask model finds nothing by itself


def resolve(config: Config) -> Options:
    """What a config means for its backends and its kind of feed."""
    live, facts = config.live, MASK_BACKENDS[config.decoder.backend]
    own, decoder = config.tracker, config.decoder
    wait = own.wait_for_seed == "always" or (own.wait_for_seed == "auto" and not live)
    return Options(
        live=live,
        tracker=TrackerOptions(
            horizon=own.horizon,
            emit=own.emit if own.emit != "auto" else "frame" if live else "horizon",
            reinit=own.reinit,
            reinit_variant=own.reinit_variant,
            link=_link(config),
            positive_points=own.positive_points,
            negative_points=own.negative_points,
            most_points=MOST_LIVE_POINTS if live else 0,
            patch_similarity=own.patch_similarity,
            seed=own.seed,
            wait_for_seed=wait,
            # Variant A alone: the others draw points on earlier frames, which have been decoded already.
            redo_boundary=wait and not live and not facts.learns and own.reinit and own.reinit_variant == "A",
            paced=live,
            revises=POINT_BACKENDS[own.backend].revises,
            replays=facts.learns,
        ),
        segmenter=SegmenterOptions(
            min_area_px=decoder.min_area_px,
            max_growth=decoder.max_growth,
            lost_after_frames=decoder.lost_after_frames,
            reinit_variant=own.reinit_variant,
            horizon=own.horizon,
            check_masks=live or facts.learns if decoder.check_masks == "auto" else decoder.check_masks,
        ),
        budget=_budget(config, facts),
        turns=_turns(config, facts),
        discovery=DiscoveryOptions(decoder.auto, decoder.auto_again, own.horizon) if facts.finds else None,
    )


def _link(config: Config) -> Link:
    """Where points start their next windows: by PIPS' own rule without re-initialisation, and on a finished clip."""
    own = config.tracker
    if own.link != "auto":
        return own.link
    exact = own.backend == "pips" and not config.live
    return "visible" if exact or not own.reinit else "boundary"


def _budget(config: Config, facts: BackendFacts) -> BudgetOptions | None:
    own = config.decoder
    if not config.live or not facts.spares or own.budget_ms == "off":
        return None
    return BudgetOptions(None if own.budget_ms == "auto" else own.budget_ms, own.refinement_passes)


def _turns(config: Config, facts: BackendFacts) -> TurnOptions | None:
    budget_ms = config.decoder.budget_ms
    if not config.live or facts.spares or budget_ms == "off":
        return None
    return TurnOptions(None if budget_ms == "auto" else budget_ms)
