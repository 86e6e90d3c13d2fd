"""SAM-PT over a finished clip: frames and objects in; trajectories, logits and label images out.

What the paper runs (sections 3.1 to 3.3), by the live graph's own parts: windows, prompting passes and the choice of
the boundary are the same code. Tests compare the live graph with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from nodes.decoder.sam import prompting
from nodes.decoder.sam.prompting import ObjectPrompt, PassRules
from nodes.decoder.sam.protocol import SamEmbedding, SamNetwork
from nodes.tracker.point_model import Features, PointModel
from stream.arrays import Array
from stream.messages import VISIBLE
from stream.settings.options import Variant
from tools.offline.chaining import HORIZON, Chained, chain, two_way
from tools.offline.codes import VisibilityCode, code
from tools.offline.outcome import Outcome, QueriedObject, TrackedPoints
from tools.offline.reinit import Window, walk
from tools.paper_settings import SEED

NEWEST_EMBEDDINGS = 64  # frames; 10 to 15 MB each

# a mask (H, W), its frame (H, W, 3), the numbers of object and frame -> its query points' xy (N, 2) and labels (N,)
Draw = Callable[[Array, Array, int, int], tuple[Array, Array]]


@dataclass(frozen=True)
class Parameters:
    """The paper's settings; the defaults are SAM-PT without re-initialisation."""

    rules: PassRules = field(default_factory=PassRules)
    reinit: Variant | None = None
    horizon: int = HORIZON
    tracker_horizon: int = (
        HORIZON  # frames that the tracker sees of each window; only the first `horizon` of them count
    )
    both_ways: bool = True  # also the frames before an object's own
    patch_threshold: float | None = None  # of the patch filter; None: off
    seed: int = SEED  # of the random choice among other objects' points, where it is limited


def run(
    frames: Sequence[Array],
    queried: Sequence[QueriedObject],
    point_model: PointModel,
    network: SamNetwork,
    draw: Draw,
    parameters: Parameters | None = None,
) -> Outcome:
    """Track and segment the queried objects through all frames, (H, W, 3) uint8 each."""
    p = parameters or Parameters()
    clip = _Clip(frames, [point_model.encode(frame) for frame in frames], _Embeddings(network, frames))
    points = [_first_points(m, o, frames, draw) for m, o in enumerate(queried)]
    forward = _Pass(clip, queried, point_model, network, draw, p)
    if p.reinit is None:
        forward.straight(points)
        return forward.outcome
    forward.windows(points)
    if p.both_ways and any(o.frame > 0 for o in queried):
        last = len(frames) - 1
        turned = [QueriedObject(last - o.frame, o.mask) for o in queried]
        backward = _Pass(clip.turned(), turned, point_model, network, draw, p)
        backward.windows(points)
        for m, o in enumerate(queried):
            for t in range(o.frame):
                forward.outcome.take_over(backward.outcome, m, last - t, t)
    return forward.outcome


class _Embeddings:
    """Every frame's embedding; the newest are not computed again."""

    def __init__(self, network: SamNetwork, frames: Sequence[Array]) -> None:
        self.network, self.frames = network, frames
        self.newest: OrderedDict[int, SamEmbedding] = OrderedDict()

    def of(self, frame: int) -> SamEmbedding:
        if frame not in self.newest:
            self.newest[frame] = self.network.encode(self.frames[frame])
            if len(self.newest) > NEWEST_EMBEDDINGS:
                self.newest.popitem(last=False)
        self.newest.move_to_end(frame)
        return self.newest[frame]


@dataclass(frozen=True)
class _Clip:
    """A clip with the features and the embedding of each frame."""

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
        self,
        clip: _Clip,
        queried: Sequence[QueriedObject],
        model: PointModel,
        network: SamNetwork,
        draw: Draw,
        p: Parameters,
    ) -> None:
        self.clip, self.model, self.network, self.draw, self.p = clip, model, network, draw, p
        size = (clip.frames[0].shape[0], clip.frames[0].shape[1])
        self.outcome = Outcome(len(clip.frames), size, queried, network)
        self.points: list[tuple[Array, Array]] = []  # of each object: xy, labels where it (now) starts
        self.rng = np.random.default_rng(p.seed)

    def straight(self, points: Sequence[tuple[Array, Array]]) -> None:
        """Without re-initialisation: all points tracked through the clip, then frame after frame segmented."""
        self.points = list(points)
        objects = range(len(points))
        starts = [o.frame for o in self.outcome.queried]
        self._track(objects, starts, 0, len(self.clip.frames), len(self.clip.frames))
        for t in range(len(self.clip.frames)):
            self._segment(t, objects)

    def windows(self, points: Sequence[tuple[Array, Array]]) -> None:
        """With re-initialisation: window by window, each from points that the last mask gave (paper, section 3.3)."""
        self.points = list(points)
        starts = [o.frame for o in self.outcome.queried]
        assert self.p.reinit is not None, "re-initialisation without a variant"
        self.outcome.windows = walk(
            len(self.clip.frames), starts, self.p.horizon, self.p.reinit, self._window, self._draw_anew
        )

    def _window(self, window: Window) -> Array:
        """Track and segment the frames of a window: the areas of its masks (objects, frames), px."""
        f, frames_left = window.start, len(self.clip.frames) - window.start
        tracked, length = min(self.p.tracker_horizon, frames_left), min(self.p.horizon, frames_left)
        self._track(window.objects, [0] * len(window.objects), f, tracked, length)
        areas = np.zeros((len(window.objects), length), np.int64)
        for s in range(length):
            self._segment(f + s, window.objects)
            areas[:, s] = [self.outcome.mask(m, f + s).sum() for m in window.objects]
        return areas

    def _draw_anew(self, m: int, frame: int) -> None:
        mask = self.outcome.mask(m, frame)
        self.outcome.replaced[m, frame] = mask
        self.points[m] = self.draw(mask.astype(np.uint8), self.clip.frames[frame], m, frame)

    def _track(self, objects: Sequence[int], starts: Sequence[int], first: int, tracked: int, length: int) -> None:
        """Follow the points of some objects over `tracked` frames from `first` on, and keep `length` of them.

        `starts`: the frame of each object's points, counted from `first`.
        """
        part = slice(first, first + tracked)
        query_xy = np.concatenate([self.points[m][0] for m in objects]).astype(np.float32)
        query = np.concatenate([np.full(len(self.points[m][0]), t) for m, t in zip(objects, starts, strict=True)])
        chained = self._chain(self.clip.features[part], query.astype(np.int64), query_xy)
        visible = chained.probability > VISIBLE
        codes = code(self.clip.frames[part], query, query_xy, chained.xy, visible, self.p.patch_threshold)
        ends = np.cumsum([len(self.points[m][0]) for m in objects])[:-1]
        columns = zip(np.split(chained.xy, ends, axis=1), np.split(codes, ends, axis=1), strict=True)
        for m, (xy, own) in zip(objects, columns, strict=True):
            for s in range(length):
                self.outcome.points[m, first + s] = TrackedPoints(xy[s], self.points[m][1], own[s])

    def _chain(self, features: Sequence[Features], starts: Array, query_xy: Array) -> Chained:
        if self.p.reinit is None and self.p.both_ways:
            return two_way(self.model, features, starts, query_xy, HORIZON)[0]
        return chain(self.model, features, starts, query_xy, HORIZON)

    def _segment(self, frame: int, objects: Sequence[int]) -> None:
        """Prompt SAM with the visible points of some objects; only these share their points."""
        prompts = []
        for m in objects:
            points = self.outcome.points[m, frame]
            shown = points.codes == VisibilityCode.VISIBLE
            prompts.append(ObjectPrompt(points.xy[shown], points.labels[shown], bool((points.labels == 0).any())))
        if not any(len(prompt.xy) for prompt in prompts):
            return
        embedding = self.clip.embedding(frame)
        results = prompting.run_passes(self.network, embedding, prompts, self.p.rules, self.rng)
        self.outcome.keep(frame, objects, results)


def _first_points(m: int, o: QueriedObject, frames: Sequence[Array], draw: Draw) -> tuple[Array, Array]:
    """The query points of an object on its own frame."""
    if o.xy is not None and o.labels is not None:
        return o.xy, o.labels
    assert o.mask is not None, f"object {m} has neither points nor a mask"
    return draw(o.mask, frames[o.frame], m, o.frame)
