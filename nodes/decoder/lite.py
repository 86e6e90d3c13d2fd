"""The mask model without weights: masks carried by dense flow, and corrected by what the object looked like where.

A step for one object (all of it inside a window that follows the object, so that its cost is bounded):

    flow back to the last frame -> the soft mask carried along, and the object's own similarity
    -> cues per pixel (fusion.py) -> logits, smoothed up to the picture's edges -> soft mask
    -> what was published teaches the adapting colours

An object whose mask has vanished is searched by its last good look (relocate.py), one object and one search a frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from nodes.decoder import fusion, poses, relocate
from nodes.decoder.memory import Memory, View, look_at, padded
from nodes.decoder.model import Logits, Query, Verdict, Window
from nodes.decoder.picture import Flow, Picture, clip_window, grow
from nodes.decoder.prompt_masks import first_mask
from stream import geometry
from stream.messages import Array

NOTHING = Logits((0, 0, 0, 0), np.zeros((0, 0), np.float32), 0.0)
PRESENT_SHARE = 0.4  # chance above which a pixel belongs to the object's box
FLOW_PAD, FLOW_PAD_PX = 0.35, 40  # round the last box: how far an object may move in a frame
SURE = 0.7
MOTION_POINTS = 300  # pixels that the similarity is fitted to
TURNS = 15  # guesses of a lost object's turn, 24 degrees apart: alignment corrects half of that
SEARCH_REACH_PX = 2  # a frame out of sight, round the place where the object should be
MOTION_AGREE_PX = 3.0
DRIFT_FRAMES = 75  # 3 s at 25 frames/s: after that nobody knows where a lost object has gone
RARELY = 5  # frames between two searches from then on: it may never come back
VANISHED_SHARE = 0.02  # of the object's area: a mask smaller than this has vanished


@dataclass(frozen=True)
class Candidate:
    """What was answered on this frame, until the verdict on it comes."""

    view: View
    soft: Array  # (h, w) float32


class Lite:
    """A `MaskModel` for the CPU."""

    def __init__(self) -> None:
        self.memories: dict[int, Memory] = {}
        self.candidates: dict[int, Candidate] = {}
        self.before: Array | None = None  # (H, W) uint8, gray of the last frame
        self.frames = 0

    def encode(self, rgb: Array) -> Picture:
        """The frame with its gray; flow is computed once it is known where."""
        picture = Picture(rgb, self.before)
        self.before = picture.gray
        self.frames += 1
        return picture

    def decode(self, embedding: Picture, queries: Sequence[Query]) -> Sequence[Logits]:
        """Logits of every object; those out of sight are searched where no other object's mask is."""
        self.candidates.clear()
        answers: dict[int, Logits] = {}
        followed = [q for q in queries if q.prompt is None and self._is_present(q.object_id)]
        regions = [self._region(self.memories[q.object_id], embedding.size) for q in followed]
        for query, region, flow in zip(followed, regions, embedding.flow(regions), strict=True):
            answers[query.object_id] = self._follow(embedding, query, region, flow)
        for query in queries:
            if query.prompt is not None:
                answers[query.object_id] = self._begin(embedding, query)
        hidden = [q for q in queries if q.object_id in self.memories and q.object_id not in answers]
        for i, query in enumerate(hidden):
            memory = self.memories[query.object_id]
            long_gone = memory.absent > DRIFT_FRAMES
            if not long_gone:
                memory.drift()
            turn = self.frames // RARELY if long_gone else self.frames
            if i == turn % len(hidden) and (not long_gone or self.frames % RARELY == 0):
                found = self._search(embedding, query, answers.values())
                if found is not None:
                    answers[query.object_id] = found
        return [answers.get(q.object_id, NOTHING) for q in queries]

    def learn(self, embedding: Picture, verdicts: Mapping[int, Verdict]) -> None:
        """Keep the published masks as the soft masks of this frame, and adapt where they are trusted."""
        for object_id, memory in self.memories.items():
            candidate, verdict = self.candidates.get(object_id), verdicts.get(object_id)
            memory.age += 1
            if candidate is None or verdict is None:
                memory.absent += 1
                continue
            x, y, width, height = candidate.view.window
            published = verdict.mask[y : y + height, x : x + width].astype(np.float32)
            kept = cv2.resize(published, candidate.view.size[::-1], interpolation=cv2.INTER_AREA)
            # what another object has won is not ours, however sure we were
            soft = np.where((candidate.soft > 0.5) & (kept < 0.25), 0.1, candidate.soft).astype(np.float32)
            memory.window, memory.soft = candidate.view.window, soft
            seen = float((soft > 0.5).sum()) * candidate.view.px
            memory.absent = 0 if seen > max(VANISHED_SHARE * memory.area, 12.0) else memory.absent + 1
            if verdict.trusted:
                memory.learn(candidate.view, soft)
                memory.remember_look(embedding.rgb, verdict.mask)

    def forget(self, object_id: int) -> None:
        """Drop all memory of an object."""
        self.memories.pop(object_id, None)
        self.candidates.pop(object_id, None)

    def resize(self, old_size: tuple[int, int], new_size: tuple[int, int]) -> None:
        """Carry masks, poses and the last frame over to another frame size (H, W)."""
        scale = geometry.rescaling(old_size, new_size)
        for memory in self.memories.values():
            memory.resize(scale)
        if self.before is not None:
            self.before = cv2.resize(self.before, new_size[::-1], interpolation=cv2.INTER_AREA)

    # --- one object -------------------------------------------------------------------------------------------------

    def _is_present(self, object_id: int) -> bool:
        return object_id in self.memories and self.memories[object_id].absent == 0

    def _region(self, memory: Memory, size: tuple[int, int]) -> Window:
        """Where the object can be on this frame, from where it was on the last."""
        box = _box(memory.soft > PRESENT_SHARE, memory.window)
        pad = max(FLOW_PAD_PX, round(FLOW_PAD * max(box[2], box[3])))
        return clip_window(grow(box, pad), size)

    def _begin(self, picture: Picture, query: Query) -> Logits:
        """Obey a prompt: a new object, or an old one corrected."""
        assert query.prompt is not None, "there is no prompt"
        memory = self.memories.get(query.object_id)
        known = None
        if memory is not None and query.prompt.kind == "refine" and memory.absent == 0:
            region = self._region(memory, picture.size)
            answer = self._follow(picture, query, region, picture.flow([region])[0])
            x, y, width, height = answer.window
            known = np.zeros(picture.size, np.float32)
            known[y : y + height, x : x + width] = answer.logits > 0
        mask = first_mask(picture.rgb, query.prompt, known)
        if not mask.any():
            return NOTHING
        fresh = Memory.of(picture.rgb, mask)
        if memory is not None and known is not None:
            fresh.motion = memory.motion
        self.memories[query.object_id] = fresh
        self.candidates[query.object_id] = Candidate(look_at(picture.rgb, fresh.window), fresh.soft)
        x, y, width, height = fresh.window
        return Logits(fresh.window, 10 * mask[y : y + height, x : x + width].astype(np.float32) - 5, 1.0)

    def _follow(self, picture: Picture, query: Query, region: Window, flow: Flow) -> Logits:
        """One step of an object that was in sight on the last frame."""
        memory = self.memories[query.object_id]
        size = (max(8, region[3] // 4), max(8, region[2] // 4))
        coarse, (x, y) = flow.at_size(region, size), _pixels(region, size)
        carried = _sample(memory, x + coarse[..., 0], y + coarse[..., 1])
        step = _object_motion(carried, x, y, coarse)
        if step is not None:
            memory.move(step)
        box = _box(carried > PRESENT_SHARE, region)
        if box[2] == 0:
            return NOTHING
        window = _within(padded(box, picture.size), region)
        view = look_at(picture.rgb, window)
        fine = flow.at_size(window, view.size)
        return self._fused(query.object_id, view, _sample(memory, view.x + fine[..., 0], view.y + fine[..., 1]))

    def _search(self, picture: Picture, query: Query, others: Iterable[Logits]) -> Logits | None:
        """One search of an object that is out of sight; one of several guesses of its turn each time."""
        memory = self.memories[query.object_id]
        counts = np.ones(picture.size, np.uint8)
        for answer in others:
            x, y, width, height = answer.window
            counts[y : y + height, x : x + width][answer.logits > 0] = 0
        turn = poses.angle_of(memory.pose) - poses.angle_of(memory.look.pose)
        memory.searches += 1
        everywhere = memory.searches % 2 == 0
        if everywhere:  # its turn may not be as expected, either: try others in turn, near ones first
            guess = memory.searches // 2 % TURNS
            turn += (guess + 1) // 2 * (2 * np.pi / TURNS) * (1 if guess % 2 else -1)
        region = (0, 0, picture.size[1], picture.size[0])
        if not everywhere:
            middle = geometry.apply(memory.pose, memory.centre[None])[0].clip((0, 0), (region[2], region[3]))
            reach = max(memory.look.mask.shape) + SEARCH_REACH_PX * min(memory.absent, 30)
            x, y = np.rint(middle).astype(int) - reach
            region = _within((int(x), int(y), 2 * reach, 2 * reach), region)
        found = relocate.search(picture.rgb, counts, memory.look, turn, region)
        if found is None:
            return None
        memory.pose = found.pose
        mask = self._look_mask(memory, picture.size) * counts
        if not mask.any():
            return None
        view = look_at(picture.rgb, padded(cv2.boundingRect(mask), picture.size))
        x, y, width, height = view.window
        soft = cv2.resize(
            mask[y : y + height, x : x + width].astype(np.float32), view.size[::-1], interpolation=cv2.INTER_AREA
        )
        return self._fused(query.object_id, view, soft)

    def _fused(self, object_id: int, view: View, carried: Array) -> Logits:
        """The answer of all cues at the object's pose."""
        memory = self.memories[object_id]
        first, recent = memory.places.log_ratios(
            view.codes, *view.canonical(memory.pose), memory.first_colours, memory.recent_colours
        )
        cues = fusion.Cues(
            carried=carried,
            rigid=self._rigid(memory, view),
            first=first,
            recent=recent,
            colours=memory.recent_colours.log_ratio(view.codes),
            gray=view.gray,
        )
        logits, look = fusion.fuse(cues)
        soft = fusion.sigmoid(logits)
        self.candidates[object_id] = Candidate(view, soft)
        inside = soft > 0.5
        score = 0.0
        if inside.any():
            score = float((2 * soft[inside] - 1).mean() * fusion.sigmoid(2 * look[inside].mean()))
        full = cv2.resize(logits, view.window[2:], interpolation=cv2.INTER_LINEAR)
        return Logits(view.window, full, score)

    def _rigid(self, memory: Memory, view: View) -> Array:
        """(h, w) float32: the last good look's outline where the object's similarity has carried it."""
        look = memory.look
        lx, ly = view.canonical(geometry.compose(memory.pose, geometry.inverse(look.pose)))
        at = (np.float32(look.origin[0]), np.float32(look.origin[1]))
        mask = cv2.remap(look.mask * 255, lx - at[0], ly - at[1], cv2.INTER_LINEAR)
        return np.asarray(cv2.blur(mask, (3, 3)).astype(np.float32) / 255)

    def _look_mask(self, memory: Memory, size: tuple[int, int]) -> Array:
        """(H, W) uint8: the last good look's outline at the object's pose."""
        look = memory.look
        place = np.array([[1, 0, look.origin[0]], [0, 1, look.origin[1]]])
        to_frame = geometry.compose(geometry.compose(memory.pose, geometry.inverse(look.pose)), place)
        return np.asarray(cv2.warpAffine(look.mask, to_frame, size[::-1], flags=cv2.INTER_NEAREST))


def _pixels(window: Window, size: tuple[int, int]) -> tuple[Array, Array]:
    """x, y (h, w) float32, frame px, of a window's pixels at working size."""
    x, y, width, height = window
    columns = (np.arange(size[1], dtype=np.float32) + 0.5) * (width / size[1]) - 0.5 + x
    rows = (np.arange(size[0], dtype=np.float32) + 0.5) * (height / size[0]) - 0.5 + y
    return np.broadcast_to(columns, size), np.broadcast_to(rows[:, None], size)


def _sample(memory: Memory, x: Array, y: Array) -> Array:
    """The last soft mask at frame px x, y (h, w); 0 outside its window."""
    wx, wy, width, height = memory.window
    h, w = memory.soft.shape
    u, v = (x - wx + 0.5) * (w / width) - 0.5, (y - wy + 0.5) * (h / height) - 0.5
    return np.asarray(cv2.remap(memory.soft, u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR))


def _object_motion(carried: Array, x: Array, y: Array, flow: Array) -> Array | None:
    """The similarity from the last frame to this one that fits the flow of the object's sure pixels."""
    sure = np.flatnonzero(carried > SURE)
    sure = sure[:: max(1, len(sure) // MOTION_POINTS)]
    now = np.stack([x.ravel()[sure], y.ravel()[sure]], axis=1)
    return poses.fit(now + flow.reshape(-1, 2)[sure], now, MOTION_AGREE_PX)


def _box(mask: Array, window: Window) -> Window:
    """The bounding box, in frame px, of a mask at a window's working size; width 0 when it is empty."""
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    kx, ky = window[2] / mask.shape[1], window[3] / mask.shape[0]
    return round(window[0] + x * kx), round(window[1] + y * ky), round(width * kx), round(height * ky)


def _within(window: Window, region: Window) -> Window:
    """The part of a window inside a region."""
    x1, y1 = max(window[0], region[0]), max(window[1], region[1])
    x2 = min(window[0] + window[2], region[0] + region[2])
    y2 = min(window[1] + window[3], region[1] + region[3])
    return x1, y1, max(x2 - x1, 1), max(y2 - y1, 1)
