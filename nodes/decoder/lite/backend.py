"""The mask model without weights: masks carried by dense flow, and corrected by what the object looked like where.

A step for one object (all of it inside a window that follows the object, so that its cost is bounded):

    flow back to the last frame -> the soft mask carried along, and the object's own similarity
    -> cues per pixel (fusion.py) -> logits, smoothed up to the picture's edges -> soft mask
    -> what was published teaches the adapting colours

An object whose mask has vanished is searched by its last good look (relocate.py), one object and one search a frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np

from nodes.decoder.lite import fusion, poses, relocate
from nodes.decoder.lite.cues import Cues, sigmoid
from nodes.decoder.lite.following import Candidate, follow, region_of
from nodes.decoder.lite.frame_analysis import Picture
from nodes.decoder.lite.object_memory import LOOK_EVERY, Memory
from nodes.decoder.lite.prompt_masks import first_mask
from nodes.decoder.lite.view import NARROW_PAD, WINDOW_PAD, WORKING_PX, look_at, padded, shrunk
from nodes.decoder.mask_model import Logits, MaskModelTraits, Query, ScoreLimits, Verdict, Window
from stream import geometry
from stream.arrays import Array

NOTHING = Logits((0, 0, 0, 0), np.zeros((0, 0), np.float32), 0.0)
TURNS = 15  # guesses of a lost object's turn, 24 degrees apart: alignment corrects half of that
SEARCH_REACH_PX = 2  # a frame out of sight, round the place where the object should be
DRIFT_FRAMES = 75  # 3 s at 25 frames/s: after that nobody knows where a lost object has gone
RARELY = 5  # frames between two searches from then on: it may never come back
VANISHED_SHARE = 0.02  # of the object's area: a mask smaller than this has vanished
SHARED_PX, LEAST_PX = 25_000, 5_000  # working px of all objects together, and of each however many they are
FEW = 4  # objects that learn on every frame; more of them do so on every other one, half of them at a time
OLDEST_LOOK = 25  # frames, of objects that take turns with their looks: a second at 25 frames/s


class Lite:
    """A `MaskModel` for the CPU."""

    traits = MaskModelTraits(every_frame=True, points_contradict=False, own_seeds=False, limits=ScoreLimits())

    def __init__(self) -> None:
        self.memories: dict[int, Memory] = {}
        self.candidates: dict[int, Candidate] = {}
        self.before: Array | None = None  # (H, W) uint8, gray of the last frame
        self.frames = 0
        self.working_px, self.pad = WORKING_PX, WINDOW_PAD  # of each object

    def encode(self, rgb: Array) -> Picture:
        """The frame; its flow is computed once it is asked for."""
        picture = Picture(rgb, self.before)
        self.before = picture.gray
        self.frames += 1
        return picture

    def decode(self, embedding: Picture, queries: Sequence[Query]) -> Sequence[Logits]:
        """Logits of every object; those out of sight are searched where no other object's mask is."""
        self.candidates.clear()
        answers: dict[int, Logits] = {}
        present = [m for m in self.memories.values() if m.absent == 0]
        if present:
            if all(q.prompt is None for q in queries):
                embedding.attend([region_of(m, embedding) for m in present])
            embedding.ground = embedding.find_ground([m.last_soft for m in present])
        self.working_px = min(WORKING_PX, max(LEAST_PX, SHARED_PX // max(1, len(present))))
        self.pad = WINDOW_PAD if len(present) < 2 else NARROW_PAD
        for query in queries:
            if query.prompt is None and self._is_present(query.object_id):
                answers[query.object_id] = self._follow(embedding, query.object_id)
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
        clear: list[tuple[Memory, Verdict]] = []
        every = 1 if len(self.candidates) <= FEW else 2
        for i, (object_id, memory) in enumerate(self.memories.items()):
            candidate, verdict = self.candidates.get(object_id), verdicts.get(object_id)
            memory.age += 1
            if candidate is None or verdict is None:
                memory.absent += 1
                continue
            x, y, width, height = candidate.window
            part = 255 * verdict.mask[y : y + height, x : x + width]
            kept = cv2.resize(part, candidate.view.size[::-1], interpolation=cv2.INTER_LINEAR)
            # what another object has won is not ours, however sure we were
            soft = np.where((candidate.soft > 0.5) & (kept < 64), np.float32(0.1), candidate.soft)
            memory.keep(candidate.view, soft)
            seen = float((soft > 0.5).sum()) * candidate.view.px
            memory.absent = 0 if seen > max(VANISHED_SHARE * memory.area, 12.0) else memory.absent + 1
            if verdict.trusted:
                memory.learn(every if (self.frames + i) % every == 0 else 0)
                clear.append((memory, verdict))
        self._take_a_look(embedding, clear)

    def forget(self, object_id: int) -> None:
        """Drop all memory of an object."""
        self.memories.pop(object_id, None)
        self.candidates.pop(object_id, None)

    def resize(self, old_size: tuple[int, int], new_size: tuple[int, int]) -> None:
        """Carry masks, poses and the last frame over to another frame size (H, W)."""
        scale = geometry.rescaling(old_size, new_size)
        for memory in self.memories.values():
            memory.resize(scale)

    # --- one object -------------------------------------------------------------------------------------------------

    def _take_a_look(self, picture: Picture, clear: Sequence[tuple[Memory, Verdict]]) -> None:
        """Let one of the objects that are seen clearly take its look: the one whose last try is longest ago.

        It costs a fifth of a step. So there are as many looks a frame, however many objects there are.
        """
        every = max(LOOK_EVERY, min(LOOK_EVERY * len(clear), OLDEST_LOOK))
        for memory, verdict in sorted(clear, key=lambda one: one[0].tried - one[0].age):
            if memory.remember_look(picture.rgb, verdict.mask, every):
                break

    def _is_present(self, object_id: int) -> bool:
        return object_id in self.memories and self.memories[object_id].absent == 0

    def _begin(self, picture: Picture, query: Query) -> Logits:
        """Obey a prompt: a new object, or an old one corrected."""
        assert query.prompt is not None, "there is no prompt"
        memory = self.memories.get(query.object_id)
        known = None
        if memory is not None and query.prompt.kind == "refine" and memory.absent == 0:
            answer = self._follow(picture, query.object_id)
            x, y, width, height = answer.window
            known = np.zeros(picture.size, np.float32)
            known[y : y + height, x : x + width] = answer.logits > 0
        mask = first_mask(picture.rgb, query.prompt, known, picture)
        if not mask.any():
            return NOTHING
        fresh = Memory.of(picture.rgb, mask)
        if memory is not None and known is not None:
            fresh.motion = memory.motion
        self.memories[query.object_id] = fresh
        self.candidates[query.object_id] = Candidate(fresh.view, 10 * fresh.soft - 5, fresh.soft)
        x, y, width, height = window = fresh.view.window
        return Logits(window, 10 * mask[y : y + height, x : x + width].astype(np.float32) - 5, 1.0)

    def _follow(self, picture: Picture, object_id: int) -> Logits:
        """One step of an object that was in sight on the last frame."""
        candidate = follow(self.memories[object_id], picture, working_px=self.working_px, pad=self.pad)
        return NOTHING if candidate is None else self._answer(object_id, candidate)

    def _answer(self, object_id: int, candidate: Candidate) -> Logits:
        """A candidate at frame size, with what the model thinks of it."""
        self.candidates[object_id] = candidate
        inside, score = candidate.soft > 0.5, 0.0
        if inside.any():
            assert candidate.look is not None, "a candidate without cues has no score"
            score = float((2 * candidate.soft[inside] - 1).mean() * sigmoid(2 + 2 * candidate.look[inside].mean()))
        size = candidate.window[2:]
        return Logits(candidate.window, cv2.resize(candidate.logits, size, interpolation=cv2.INTER_LINEAR), score)

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
            reach = memory.look.side + SEARCH_REACH_PX * min(memory.absent, 30)
            x, y = np.rint(middle).astype(int) - reach
            region = _within((int(x), int(y), 2 * reach, 2 * reach), region)
        found = relocate.search(picture.rgb, counts, memory.look, turn, region)
        if found is None:
            return None
        memory.pose = found.pose
        mask = self._look_mask(memory, picture.size) * counts
        if not mask.any():
            return None
        view = look_at(picture.rgb, padded(cv2.boundingRect(mask), picture.size), self.working_px)
        cues = Cues(view)
        cues.carried(shrunk(mask, view))
        cues.colours(memory.places, memory.whole, *memory.canonical(view))
        cues.finish()
        # the network knows objects that were in sight on the last frame; of this one there is neither flow nor past
        return self._answer(query.object_id, Candidate.of(view, cues, fusion.hand_set(cues.planes)))

    def _look_mask(self, memory: Memory, size: tuple[int, int]) -> Array:
        """(H, W) uint8: the last good look's outline at the object's pose."""
        look = memory.look
        to_frame = geometry.compose(geometry.compose(memory.pose, geometry.inverse(look.pose)), look.place)
        return np.asarray(cv2.warpAffine(look.mask, to_frame, size[::-1], flags=cv2.INTER_NEAREST))


def _within(window: Window, region: Window) -> Window:
    """The part of a window inside a region."""
    x1, y1 = max(window[0], region[0]), max(window[1], region[1])
    x2 = min(window[0] + window[2], region[0] + region[2])
    y2 = min(window[1] + window[3], region[1] + region[3])
    return x1, y1, max(x2 - x1, 1), max(y2 - y1, 1)
