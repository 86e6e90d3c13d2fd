"""SAM-PT over a finished clip: frames and objects in; trajectories, logits and label images out.

What the paper runs (sections 3.1 to 3.3), by the live graph's own parts: windows, prompting passes and the choice of
the boundary are the same code. Live and offline are compared by it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from nodes.decoder.reinit import Variant
from nodes.decoder.sam import prompting
from nodes.decoder.sam.prompting import ObjectPrompt, Rules
from nodes.decoder.sam.protocol import SamBackend, SamEmbedding
from nodes.tracker.point_model import Features, PointModel
from stream.arrays import Array
from tools.offline.chaining import HORIZON, Chained, chain, two_way
from tools.offline.codes import VISIBLE, code
from tools.offline.outcome import Given, Outcome, Tracked
from tools.offline.reinit import Window, walk

KEPT_EMBEDDINGS = 64  # frames; 10 to 15 MB each
SEEN = 0.5  # probability above which a tracked point is visible

# a mask (H, W), its frame (H, W, 3), the numbers of object and frame -> its query points' xy (N, 2) and labels (N,)
Draw = Callable[[Array, Array, int, int], tuple[Array, Array]]


@dataclass(frozen=True)
class Parameters:
    """The paper's settings; the defaults are SAM-PT without re-initialisation."""

    rules: Rules = field(default_factory=Rules)
    reinit: Variant | None = None
    horizon: int = HORIZON
    tracker_horizon: int = HORIZON  # frames that the tracker sees of each window; only `horizon` of them are kept
    both_ways: bool = True  # also the frames before an object's own
    patch_threshold: float | None = None  # of the patch filter; None: off
    seed: int = 72  # of the random choice among other objects' points, where it is limited


def run(
    frames: Sequence[Array],
    given: Sequence[Given],
    point_model: PointModel,
    backend: SamBackend,
    draw: Draw,
    parameters: Parameters | None = None,
) -> Outcome:
    """Track and segment the given objects through all frames, (H, W, 3) uint8 each."""
    p = parameters or Parameters()
    clip = _Clip(frames, [point_model.encode(frame) for frame in frames], _Embeddings(backend, frames))
    points = [_first_points(m, one, frames, draw) for m, one in enumerate(given)]
    forward = _Pass(clip, given, point_model, backend, draw, p)
    if p.reinit is None:
        forward.straight(points)
        return forward.outcome
    forward.windows(points)
    if p.both_ways and any(one.frame > 0 for one in given):
        last = len(frames) - 1
        turned = [Given(last - one.frame, one.mask) for one in given]
        backward = _Pass(clip.turned(), turned, point_model, backend, draw, p)
        backward.windows(points)
        for m, one in enumerate(given):
            for t in range(one.frame):
                forward.outcome.take_over(backward.outcome, m, last - t, t)
    return forward.outcome


class _Embeddings:
    """Every frame's embedding, computed once as long as it is kept."""

    def __init__(self, backend: SamBackend, frames: Sequence[Array]) -> None:
        self.backend, self.frames = backend, frames
        self.kept: OrderedDict[int, SamEmbedding] = OrderedDict()

    def of(self, frame: int) -> SamEmbedding:
        if frame not in self.kept:
            self.kept[frame] = self.backend.encode(self.frames[frame])
            if len(self.kept) > KEPT_EMBEDDINGS:
                self.kept.popitem(last=False)
        self.kept.move_to_end(frame)
        return self.kept[frame]


@dataclass(frozen=True)
class _Clip:
    """A clip with what is known of each frame."""

    frames: Sequence[Array]
    features: Sequence[Features]
    embeddings: _Embeddings
    backward: bool = False

    def embedding(self, frame: int) -> SamEmbedding:
        return self.embeddings.of(len(self.frames) - 1 - frame if self.backward else frame)

    def turned(self) -> _Clip:
        """The same clip, running the other way."""
        return _Clip(self.frames[::-1], self.features[::-1], self.embeddings, not self.backward)


class _Pass:
    """One run through a clip."""

    def __init__(
        self, clip: _Clip, given: Sequence[Given], model: PointModel, backend: SamBackend, draw: Draw, p: Parameters
    ) -> None:
        self.clip, self.model, self.backend, self.draw, self.p = clip, model, backend, draw, p
        size = (clip.frames[0].shape[0], clip.frames[0].shape[1])
        self.outcome = Outcome(len(clip.frames), size, given, backend)
        self.points: list[tuple[Array, Array]] = []  # of each object: xy, labels where it (now) starts
        self.rng = np.random.default_rng(p.seed)

    def straight(self, points: Sequence[tuple[Array, Array]]) -> None:
        """Without re-initialisation: all points tracked through the clip, then frame after frame segmented."""
        self.points = list(points)
        objects = range(len(points))
        starts = [one.frame for one in self.outcome.given]
        self._track(objects, starts, 0, len(self.clip.frames), len(self.clip.frames))
        for t in range(len(self.clip.frames)):
            self._segment(t, objects)

    def windows(self, points: Sequence[tuple[Array, Array]]) -> None:
        """With re-initialisation: window by window, each from points that the last mask gave (paper, section 3.3)."""
        self.points = list(points)
        starts = [one.frame for one in self.outcome.given]
        assert self.p.reinit is not None, "re-initialisation without a variant"
        self.outcome.windows = walk(
            len(self.clip.frames), starts, self.p.horizon, self.p.reinit, self._window, self._draw_anew
        )

    def _window(self, window: Window) -> Array:
        """Track and segment the frames of a window: the areas of its masks (objects, frames), px."""
        f, left = window.start, len(self.clip.frames) - window.start
        seen, kept = min(self.p.tracker_horizon, left), min(self.p.horizon, left)
        self._track(window.objects, [0] * len(window.objects), f, seen, kept)
        areas = np.zeros((len(window.objects), kept), np.int64)
        for s in range(kept):
            self._segment(f + s, window.objects)
            areas[:, s] = [self.outcome.mask(m, f + s).sum() for m in window.objects]
        return areas

    def _draw_anew(self, m: int, frame: int) -> None:
        mask = self.outcome.mask(m, frame)
        self.outcome.replaced[m, frame] = mask
        self.points[m] = self.draw(mask.astype(np.uint8), self.clip.frames[frame], m, frame)

    def _track(self, objects: Sequence[int], starts: Sequence[int], first: int, seen: int, kept: int) -> None:
        """Follow the points of some objects over `seen` frames from `first` on, and keep `kept` of them.

        `starts`: the frame of each object's points, counted from `first`.
        """
        part = slice(first, first + seen)
        query_xy = np.concatenate([self.points[m][0] for m in objects]).astype(np.float32)
        query = np.concatenate([np.full(len(self.points[m][0]), t) for m, t in zip(objects, starts, strict=True)])
        chained = self._chain(self.clip.features[part], query.astype(np.int64), query_xy)
        visible = chained.probability > SEEN
        codes = code(self.clip.frames[part], query, query_xy, chained.xy, visible, self.p.patch_threshold)
        ends = np.cumsum([len(self.points[m][0]) for m in objects])[:-1]
        columns = zip(np.split(chained.xy, ends, axis=1), np.split(codes, ends, axis=1), strict=True)
        for m, (xy, own) in zip(objects, columns, strict=True):
            for s in range(kept):
                self.outcome.points[m, first + s] = Tracked(xy[s], self.points[m][1], own[s])

    def _chain(self, features: Sequence[Features], starts: Array, query_xy: Array) -> Chained:
        if self.p.reinit is None and self.p.both_ways:
            return two_way(self.model, features, starts, query_xy, HORIZON)[0]
        return chain(self.model, features, starts, query_xy, HORIZON)

    def _segment(self, frame: int, objects: Sequence[int]) -> None:
        """Prompt SAM with the visible points of some objects; only these share their points."""
        asked = []
        for m in objects:
            points = self.outcome.points[m, frame]
            shown = points.codes == VISIBLE
            asked.append(ObjectPrompt(points.xy[shown], points.labels[shown], bool((points.labels == 0).any())))
        embedding = self.clip.embedding(frame) if any(len(one.xy) for one in asked) else None
        if embedding is None:
            return
        self.outcome.keep(frame, objects, prompting.decode(self.backend, embedding, asked, self.p.rules, self.rng))


def _first_points(m: int, one: Given, frames: Sequence[Array], draw: Draw) -> tuple[Array, Array]:
    """The query points of an object on its own frame."""
    if one.xy is not None and one.labels is not None:
        return one.xy, one.labels
    assert one.mask is not None, f"object {m} was given neither points nor a mask"
    return draw(one.mask, frames[one.frame], m, one.frame)
