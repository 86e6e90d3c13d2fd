"""The mask model without weights: masks carried by dense flow, and corrected by what the object looked like where.

A step for one object (all of it inside a window that follows the object, so that its cost is bounded):

    flow back to the last frame -> the soft mask carried along, and the object's own similarity
    -> cues per pixel (fusion.py) -> logits, smoothed up to the image's edges -> soft mask
    -> the colours and the template of the object adapt to the mask that was published

An object whose mask has vanished is searched by its template (lost_objects.py), one object and one search a frame; a
part of it that comes out where it went in is shown before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np

from nodes.decoder.candidates import rank_candidates
from nodes.decoder.lite.carrying import compose_all, points_of_prompt, steps_of
from nodes.decoder.lite.cues import sigmoid
from nodes.decoder.lite.following import MaskEstimate, follow, learn_published, reachable_window
from nodes.decoder.lite.frame_analysis import FrameAnalysis
from nodes.decoder.lite.lost_objects import covered_by, find_parts, look_again, search_lost
from nodes.decoder.lite.object_memory import TEMPLATE_INTERVAL, ObjectMemory
from nodes.decoder.lite.object_threads import MOST_THREADS, allowed_threads
from nodes.decoder.lite.prompts.prompt_masks import agrees_with_picture, make_candidates, make_first_mask
from nodes.decoder.lite.returns import DOUBTFUL_SCORE
from nodes.decoder.lite.sharpening import enlarge_logits
from nodes.decoder.lite.view import NARROW_PAD, WINDOW_PAD, WORKING_PX
from nodes.decoder.mask_model import (
    NO_MASK,
    Candidates,
    Logits,
    MaskModelTraits,
    Query,
    RememberingModel,
    ScoreLimits,
    Verdict,
)
from nodes.decoder.object_threads import ObjectThreads
from stream import geometry
from stream.arrays import Array
from stream.messages import Prompt

NOT_CONFIRMED = "not confirmed since a restart"  # it may never have been where its restored mask lies
REFIT_INTERVAL = 4  # frames between two fits of an object's target model, at least
LOOK_AGAIN = 4  # frames between two looks at a doubted return
SURE_SCORE = 0.9  # drawn scenes, points hidden: 1 of 56 masks rated higher was wrong, 11 of 18 rated lower
GIVEN_LOGIT = 5.0  # of a mask that a prompt gave, and minus that outside it
DRIFT_FRAMES = 75  # 3 s at 25 frames/s: a lost object's motion is continued no longer than that
RARE_SEARCH = 5  # frames between two searches from then on: it may never come back
SHARED_PX, MIN_PX = 19_500, 3_900  # working px of all objects together, and of each however many they are
FEW_OBJECTS = 4  # that adapt on every frame; more of them do so on every other one, half of them at a time
SPREAD_OBJECTS = 20  # more of them lie all over the frame: flow is not limited to their surroundings
MOST_CARRIED = 5  # frames that an object's colours adapt for at once, whose turn has not come for longer
MAX_TEMPLATE_INTERVAL = 25  # frames, where many objects share the updates: a second at 25 frames/s


class Lite:
    """A `MaskModel` for the CPU."""

    traits = MaskModelTraits(
        every_frame=True, points_contradict=False, own_seeds=False, limits=ScoreLimits(sure=SURE_SCORE)
    )

    def __init__(self, window_px: int = WORKING_PX) -> None:
        self.window_px = window_px  # of each object, where all have room
        self.memories: dict[int, ObjectMemory] = {}
        self.estimates: dict[int, MaskEstimate] = {}  # of this frame, by object
        self.previous_gray: Array | None = None  # (H, W) uint8, flow image of the last frame
        self.frames = 0
        self.working_px, self.pad = window_px, WINDOW_PAD  # of each object's window
        self.detail = 1.0  # of the pixels that each could have, but MIN_PX at least
        self.carried: set[int] = set()  # objects that are not decoded on this frame
        self._prepared: FrameAnalysis | None = None  # the frame that `carry` has prepared
        self._threads = ObjectThreads(MOST_THREADS)

    def encode(self, rgb: Array) -> FrameAnalysis:
        """The frame; its flow is computed at the first use."""
        analysis = FrameAnalysis(rgb, self.previous_gray)
        self.previous_gray = analysis.gray
        self.frames += 1
        self.carried, self._prepared = set(), None
        return analysis

    def is_absent(self, object_id: int) -> bool:
        """Whether an object is out of sight."""
        return object_id in self.memories and not self._is_present(object_id)

    def carry(
        self, embedding: FrameAnalysis, object_ids: Sequence[int], prompts: Mapping[int, Prompt], prompted: bool
    ) -> dict[int, Array]:
        """Let objects in sight move along with the picture; their motion (2, 3) and that of what prompts show."""
        self.carried = {i for i in object_ids if self._is_present(i)}
        self._prepare(embedding, prompted or len(self.carried) > SPREAD_OBJECTS)
        self._prepared = embedding
        memories = {i: self.memories[i] for i in object_ids if i in self.carried}
        points = {i: memory.points for i, memory in memories.items()}
        for i, prompt in prompts.items():
            if i not in points and (shown := points_of_prompt(prompt)) is not None:
                points[i] = shown
        if not points:
            return {}
        steps = dict(zip(points, steps_of(embedding, np.stack(list(points.values()))), strict=True))
        if not memories:
            return steps
        before = [geometry.IDENTITY if m.moved is None else m.moved for m in memories.values()]
        for i, moved in zip(memories, compose_all(list(steps.values())[: len(before)], before), strict=True):
            memories[i].carry_to(moved)
        return steps

    def decode(self, embedding: FrameAnalysis, queries: Sequence[Query]) -> Sequence[Logits]:
        """Logits of every object; those out of sight are searched where no other object's mask is."""
        self.estimates.clear()
        answers: dict[int, Logits] = {}
        if self._prepared is not embedding:
            self._prepare(embedding, anywhere=any(q.prompt is not None for q in queries))
        present = [q.object_id for q in queries if q.prompt is None and self._is_present(q.object_id)]
        # the largest first: the last one to be done keeps the others waiting
        present.sort(key=lambda object_id: -self.memories[object_id].view.base.size)
        followed = self._threads.each(lambda object_id: self._follow(embedding, object_id), present, allowed_threads())
        answers |= {i: answer for i, answer in zip(present, followed, strict=True) if answer is not None}
        for query in queries:
            if query.prompt is not None and not self._recall(query.object_id, query.prompt, embedding.size):
                answers[query.object_id] = self._begin(embedding, query)
        absent = [q.object_id for q in queries if q.object_id in self.memories and q.object_id not in answers]
        for i, object_id in enumerate(absent):
            memory = self.memories[object_id]
            long_absent = memory.absent_frames > DRIFT_FRAMES
            if not long_absent and object_id not in present:
                memory.move_as_before()
            rounds = self.frames // RARE_SEARCH if long_absent else self.frames
            if i == rounds % len(absent) and (not long_absent or self.frames % RARE_SEARCH == 0):
                answer = self._search(embedding, object_id, answers.values())
                if answer is not None:
                    answers[object_id] = answer
        hidden = {i: self.memories[i] for i in absent if i not in answers}
        if hidden:
            seen = [(m, answers.get(i)) for i, m in self.memories.items() if i in answers or i in self.carried]
            answers |= find_parts(embedding.rgb, hidden, seen, self.frames)
        return [answers.get(q.object_id, NO_MASK) for q in queries]

    def learn(self, embedding: FrameAnalysis, verdicts: Mapping[int, Verdict]) -> None:
        """Store the published masks as the soft masks of this frame, and adapt where they are trusted."""
        seen: list[tuple[ObjectMemory, MaskEstimate, Verdict, int]] = []
        interval = 1 if len(self.estimates) <= FEW_OBJECTS else 2
        for i, (object_id, memory) in enumerate(self.memories.items()):
            estimate, verdict = self.estimates.get(object_id), verdicts.get(object_id)
            memory.begin_frame()
            if object_id in self.carried:
                continue
            if estimate is None or verdict is None:
                memory.count_absent()
                continue
            frames = min(1 + memory.carried_frames, MOST_CARRIED)
            alternating = interval if (self.frames + i) % interval == 0 else 0
            seen.append((memory, estimate, verdict, frames if frames > 1 else alternating))
        self._threads.each(lambda piece: learn_published(*piece), seen, allowed_threads())
        trusted = [(memory, verdict) for memory, _, verdict, _ in seen if verdict.trusted]
        self._update_one_template(embedding, trusted)
        self._refit_some([memory for memory, _ in trusted])

    def forget(self, object_id: int) -> None:
        """Drop all memory of an object."""
        self.memories.pop(object_id, None)
        self.estimates.pop(object_id, None)

    def beside(self) -> Lite:
        """One that has seen nothing; the fitted networks are shared by all."""
        return Lite(self.window_px)

    def adopt(self, object_id: int, other: RememberingModel) -> None:
        """Take over another one's memory of an object, as of the last frame that both have seen."""
        assert isinstance(other, Lite), "memories of one kind"
        self.forget(object_id)
        if object_id in other.memories:
            self.memories[object_id] = other.memories[object_id]

    def candidates(self, embedding: FrameAnalysis, query: Query) -> Candidates:
        """The regions round the clicks of a prompt, at several scales; a box or a mask means one thing only."""
        assert query.prompt is not None, "there is no prompt"
        return rank_candidates(
            make_first_mask(embedding.rgb, query.prompt, None, embedding),
            make_candidates(embedding.rgb, query.prompt),
        )

    def resize(self, old_size: tuple[int, int], new_size: tuple[int, int]) -> None:
        """Carry masks, poses and the last frame over to another frame size (H, W)."""
        scale = geometry.rescaling(old_size, new_size)
        for memory in self.memories.values():
            memory.resize(scale)

    # --- all objects ------------------------------------------------------------------------------------------------

    def _prepare(self, analysis: FrameAnalysis, anywhere: bool) -> None:
        """Measure what the objects in sight share, and divide the working pixels among them.

        `anywhere`: a prompt may need the flow outside the objects' surroundings, or they are all over the frame.
        """
        present = {i: m for i, m in self.memories.items() if m.absent_frames == 0}
        if present:
            if not anywhere:
                analysis.limit_flow_to([reachable_window(m, analysis) for m in present.values()])
            analysis.measure_background(
                [m.fill_box if i in self.carried else m.sample_mask for i, m in present.items()]
            )
        shared_px = min(self.window_px, SHARED_PX // max(1, len(present)))
        self.working_px = min(self.window_px, max(MIN_PX, round(self.detail * shared_px)))
        self.pad = WINDOW_PAD if len(present) < 2 else NARROW_PAD

    def _update_one_template(self, analysis: FrameAnalysis, trusted: Sequence[tuple[ObjectMemory, Verdict]]) -> None:
        """Update the template of one trusted object: of the one whose last comparison is longest ago.

        It costs a fifth of a step. So there is one a frame at most, however many objects there are.
        """
        interval = max(TEMPLATE_INTERVAL, min(TEMPLATE_INTERVAL * len(trusted), MAX_TEMPLATE_INTERVAL))
        for memory, verdict in sorted(trusted, key=lambda pair: pair[0].compared_age - pair[0].age):
            if memory.update_template(analysis.rgb, verdict.mask, interval):
                break

    def _refit_some(self, trusted: Sequence[ObjectMemory]) -> None:
        """Fit target models of trusted objects again: a like number on each frame, those fitted longest ago."""
        due = sorted((m for m in trusted if m.age - m.fitted_age >= REFIT_INTERVAL), key=lambda m: m.fitted_age)
        self._threads.each(ObjectMemory.refit, due[: -(-len(trusted) // REFIT_INTERVAL)], allowed_threads())

    # --- one object -------------------------------------------------------------------------------------------------

    def _is_present(self, object_id: int) -> bool:
        return object_id in self.memories and self.memories[object_id].absent_frames == 0

    def _recall(self, object_id: int, prompt: Prompt, size: geometry.Size) -> bool:
        """Remember an object by how it was last seen, and search it from now on; False where that is not known.

        Its last mask says where it was, perhaps seconds ago: what lies there now must not be learnt.
        """
        sighting = prompt.sighting
        if prompt.kind != "restore" or sighting is None or sighting.size != size or not sighting.mask.any():
            return False
        x, y, width, height = sighting.window
        rgb, mask = np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8)
        picture, shape = sighting.rgb, sighting.mask
        if sighting.reduction > 1:
            picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR)
            shape = cv2.resize(shape, (width, height), interpolation=cv2.INTER_NEAREST)
        rgb[y : y + height, x : x + width], mask[y : y + height, x : x + width] = picture, shape
        memory = ObjectMemory.from_mask(rgb, mask)
        memory.count_absent()
        self.memories[object_id] = memory
        return True

    def _begin(self, analysis: FrameAnalysis, query: Query) -> Logits:
        """Do what a prompt asks for: begin a new object, or correct an old one."""
        assert query.prompt is not None, "there is no prompt"
        old_mask, motion = None, None
        if query.prompt.kind == "refine" and self._is_present(query.object_id):
            answer = self._follow(analysis, query.object_id) or NO_MASK
            x, y, width, height = answer.window
            old_mask = np.zeros(analysis.size, np.float32)
            old_mask[y : y + height, x : x + width] = answer.logits > 0
            motion = self.memories[query.object_id].motion
        mask = make_first_mask(analysis.rgb, query.prompt, old_mask, analysis)
        if not mask.any():
            return NO_MASK
        found = query.prompted or agrees_with_picture(analysis.rgb, mask, analysis)
        memory = ObjectMemory.from_mask(analysis.rgb, mask, motion)
        memory.doubt = "" if found else NOT_CONFIRMED
        self.memories[query.object_id] = memory
        logits = 2 * GIVEN_LOGIT * memory.soft_mask - GIVEN_LOGIT
        x, y, width, height = window = memory.view.window
        part = mask[y : y + height, x : x + width].astype(np.float32)
        self.estimates[query.object_id] = MaskEstimate(memory.view, logits, memory.soft_mask, claim=part > 0)
        return Logits(window, 2 * GIVEN_LOGIT * part - GIVEN_LOGIT, 1.0 if found else DOUBTFUL_SCORE, memory.doubt)

    def _follow(self, analysis: FrameAnalysis, object_id: int) -> Logits | None:
        """One step of an object that was in sight on the last frame; None where it turns out to be another thing."""
        memory = self.memories[object_id]
        estimate = follow(memory, analysis, working_px=self.working_px, pad=self.pad)
        if memory.doubt and memory.absence and memory.age % LOOK_AGAIN == 0 and not look_again(analysis.rgb, memory):
            memory.take_back_return()
            return None
        return NO_MASK if estimate is None else self._answer(object_id, estimate, analysis.rgb)

    def _search(self, analysis: FrameAnalysis, object_id: int, others: Iterable[Logits]) -> Logits | None:
        """One search of an object that is out of sight."""
        countable = 1 - covered_by(others, analysis.size)
        estimate = search_lost(analysis.rgb, countable, self.memories[object_id], self.working_px)
        return None if estimate is None else self._answer(object_id, estimate, analysis.rgb)

    def _answer(self, object_id: int, estimate: MaskEstimate, rgb: Array) -> Logits:
        """An estimate at the size of the frame (H, W, 3), with the model's score of it."""
        inside, score = estimate.soft_mask > 0.5, 0.0
        if inside.any():
            assert estimate.colour_logits is not None, "an estimate without cues has no score"
            colour_score = sigmoid(2 + 2 * estimate.colour_logits[inside].mean())
            score = float((2 * estimate.soft_mask[inside] - 1).mean() * colour_score)
        doubt = self.memories[object_id].doubt
        if doubt:
            score = min(score, DOUBTFUL_SCORE)
        logits = enlarge_logits(estimate.logits, estimate.view, rgb)
        self.estimates[object_id] = replace(estimate, claim=logits > 0)
        return Logits(estimate.window, logits, score, doubt)
