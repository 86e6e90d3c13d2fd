"""The mask model of SAM-PT: tracked points and the user's prompts in, SAM's masks out (paper, section 3.2).

Frames are independent of each other: what the object looked like before is carried by the points alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

import cv2
import numpy as np
import torch

from nodes.decoder.candidates import rank_candidates
from nodes.decoder.mask_model import (
    NO_MASK,
    Candidates,
    Logits,
    MaskModelTraits,
    Query,
    ScoreLimits,
    Verdict,
)
from nodes.decoder.sam import prompting
from nodes.decoder.sam.device_passes import FrameDecoder, decode_on_device
from nodes.decoder.sam.prompting import ObjectPrompt, PassRules
from nodes.decoder.sam.protocol import LOW_RES, AsynchronousSamNetwork, SamEmbedding, SamNetwork, SamPrompts
from stream.arrays import Array
from stream.crops import crop_mask, uncrop_mask
from stream.messages import Prompt

GIVEN_LOGIT = 1e8  # a mask that the user gave wins against any network
PRIOR_LOGIT = 8.0  # a mask that the user gave and corrects by points, as SAM's mask input
SAME_PX = 0.5  # a tracked point this near to a click is that click


class SamPt:
    """A `MaskModel` on a network of the SAM family."""

    def __init__(
        self,
        network: SamNetwork,
        *,
        refinement_passes: int = 12,
        iou_threshold: float = 0.7,
        others_as_negatives: bool = True,
        max_others: int | None = None,
        seed: int = 72,
    ) -> None:
        self.network = network
        self.refinement_passes = refinement_passes
        self.iou_threshold = iou_threshold  # 0: no mask is dropped
        self.others_as_negatives = others_as_negatives
        self.max_others = max_others
        self.rng = np.random.default_rng(seed)

    @property
    def traits(self) -> MaskModelTraits:
        """SAM has no memory, takes a leak for a thing, and segments each object by itself."""
        return MaskModelTraits(
            every_frame=False, points_contradict=True, own_seeds=True, limits=score_limits(self.iou_threshold)
        )

    def encode(self, rgb: Array) -> SamEmbedding:
        """The image embedding of a frame; most of the cost."""
        return self.network.encode(rgb)

    def decode(self, embedding: SamEmbedding, queries: Sequence[Query]) -> list[Logits]:
        """Logits of every object, by one batch of prompts a pass. A mask that was given is the answer on its frame."""
        return self.decode_sparingly(embedding, queries, self.refinement_passes)[0]

    def decode_sparingly(
        self, embedding: SamEmbedding, queries: Sequence[Query], refinement_passes: int
    ) -> tuple[list[Logits], int]:
        """As `decode`, with at most so many refinement passes; and how many passes there were in all."""
        given_masks = {i: mask for i, q in enumerate(queries) if (mask := _given(q.prompt)) is not None}
        prompts = [
            replace(_tracked(q, embedding), only_for_others=True) if i in given_masks else self._prompt_of(q, embedding)
            for i, q in enumerate(queries)
        ]
        rules = self._rules(refinement_passes)
        decode = self._decode_on_device if self.network.is_asynchronous else self._decode_here
        answers, passes = decode(embedding, prompts, rules)
        for i, mask in given_masks.items():
            answers[i] = _answer_given(mask)
        return answers, passes

    def _decode_here(
        self, embedding: SamEmbedding, prompts: Sequence[ObjectPrompt], rules: PassRules
    ) -> tuple[list[Logits], int]:
        """The passes on the CPU: an object that is done is left out of the next ones."""
        results = prompting.run_passes(self.network, embedding, prompts, rules, self.rng)
        answers = [_dropped(float(iou)) for iou in results.iou]
        rows = np.flatnonzero(results.has_mask)
        for part in np.array_split(rows, -(-len(rows) // prompting.at_once(embedding.frame_size)) or 1):
            if len(part):
                for i, logits in zip(part, self.network.upscale(results.low_res[part], embedding), strict=True):
                    answers[i] = _cropped(logits, float(results.iou[i]))
        return answers, int(results.passes.max(initial=0))

    def _decode_on_device(
        self, embedding: SamEmbedding, prompts: Sequence[ObjectPrompt], rules: PassRules
    ) -> tuple[list[Logits], int]:
        """The same on a GPU, which is read back twice."""
        answers = []
        if isinstance(self.network, FrameDecoder):
            decoded = self.network.decode_frame(embedding, prompts, rules, self.rng)
        else:
            network = cast(AsynchronousSamNetwork, self.network)
            decoded = decode_on_device(network, embedding, prompts, rules, self.rng)
        for d in decoded:
            if d.window is None or d.logits is None:
                answers.append(_dropped(d.iou))
            else:
                answers.append(Logits(d.window, d.logits, float(np.clip(d.iou, 0, 1))))
        return answers, max((d.passes for d in decoded), default=0)

    def learn(self, embedding: SamEmbedding, verdicts: Mapping[int, Verdict]) -> None:
        """Nothing: SAM has no memory."""

    def forget(self, object_id: int) -> None:
        """Nothing: SAM has no memory."""

    def resize(self, old_size: tuple[int, int], new_size: tuple[int, int]) -> None:
        """Nothing: SAM has no memory."""

    def candidates(self, embedding: SamEmbedding, query: Query) -> Candidates:
        """SAM's three masks of the points or the box of a prompt; HQ-SAM has the best rated of them alone."""
        [default] = self.decode(embedding, [query])
        prompt = self._prompt_of(query, embedding)
        masks: list[Array] = []
        if prompt.enough and _given(query.prompt) is None:
            answer = self.network.predict(
                embedding,
                SamPrompts(
                    prompt.xy[None],
                    prompt.labels[None].astype(np.int64),
                    boxes=np.array([prompt.box or (np.nan,) * 4], np.float32),
                    low_res=None if prompt.low_res is None else prompt.low_res[None],
                    has_low_res=np.array([prompt.low_res is not None]),
                    multimask=True,
                ),
            )
            for low_res in answer.low_res:
                [logits] = self.network.upscale(low_res[None], embedding)
                masks.append((logits > 0).cpu().numpy().astype(np.uint8))
        return rank_candidates(_whole(default, embedding.frame_size), masks)

    # --- parts of `decode` ------------------------------------------------------------------------------------------

    def _rules(self, refinement_passes: int) -> PassRules:
        return PassRules(
            refinement_passes=refinement_passes,
            iou_threshold=self.iou_threshold if self.iou_threshold > 0 else -np.inf,
            others_as_negatives=self.others_as_negatives,
            max_others=self.max_others,
        )

    def _prompt_of(self, query: Query, embedding: SamEmbedding) -> ObjectPrompt:
        """What SAM is prompted with for an object: its visible points, and the user's prompt on this very frame."""
        prompt, tracked = query.prompt, _tracked(query, embedding)
        if prompt is None:
            return tracked
        xy, labels = _clicks(prompt, embedding.frame_size)
        if prompt.kind == "refine":
            others = ~_at_clicks(tracked.xy, xy)
            xy = np.concatenate([tracked.xy[others], xy])
            labels = np.concatenate([tracked.labels[others], labels])
        mask = prompt.mask if prompt.mask is not None and prompt.mask.any() else None
        prior = None if mask is None else torch.from_numpy(_mask_input(mask, embedding)).to(self.network.device)
        return ObjectPrompt(xy, labels, bool((labels == 0).any()), prompt.box, prior, certain=True)


def score_limits(iou_threshold: float) -> ScoreLimits:
    """A mask that SAM rates below the threshold is dropped (docs/sam_pt.md, d.5); one just above it is not yet clear.

    Without a threshold (0) the predicted IoU says nothing at all, and the points alone decide.
    """
    return ScoreLimits(min(1.0, iou_threshold + 0.1) if iou_threshold > 0 else 0.0, min(0.25, iou_threshold))


def _given(prompt: Prompt | None) -> Array | None:
    """The mask that a prompt consists of: without points there is nothing to add to it."""
    if prompt is None or prompt.mask is None or not prompt.mask.any():
        return None
    return prompt.mask if prompt.xy is None or not len(prompt.xy) else None


def _tracked(query: Query, embedding: SamEmbedding) -> ObjectPrompt:
    """The visible points of an object."""
    track = query.track
    shown = prompting.visible(track.xy, track.visibility, embedding.frame_size)
    return ObjectPrompt(track.xy[shown], track.labels[shown], bool((track.labels == 0).any()))


def _clicks(prompt: Prompt, size: tuple[int, int]) -> tuple[Array, Array]:
    """xy (N, 2), labels (N,) of the user's points inside the frame."""
    if prompt.xy is None or prompt.labels is None:
        return np.zeros((0, 2), np.float32), np.zeros(0, np.uint8)
    inside = prompting.visible(prompt.xy, np.ones(len(prompt.xy), np.float32), size)
    return prompt.xy[inside], prompt.labels[inside]


def _at_clicks(xy: Array, clicks: Array) -> Array:
    """(N,) bool: tracked points (N, 2) that are the clicks themselves, or that a click gives another label."""
    apart = np.linalg.norm(xy[:, None] - clicks[None], axis=2)
    return np.asarray((apart < SAME_PX).any(axis=1))


def _mask_input(mask: Array, embedding: SamEmbedding) -> Array:
    """(256, 256) float32: a (H, W) mask as the logits that SAM takes as mask input."""
    scale = LOW_RES / embedding.side
    h, w = (max(1, round(s * scale)) for s in embedding.input_size)
    low_res = np.full((LOW_RES, LOW_RES), -PRIOR_LOGIT, np.float32)
    share = cv2.resize(mask.astype(np.float32), (w, h), interpolation=cv2.INTER_AREA)
    low_res[:h, :w] = PRIOR_LOGIT * (2 * share - 1)
    return low_res


def _whole(answer: Logits, size: tuple[int, int]) -> Array:
    """(H, W) uint8: the mask of an answer."""
    return uncrop_mask(answer.window, (answer.logits > 0).astype(np.uint8), size)


def _answer_given(mask: Array) -> Logits:
    window, crop = crop_mask(mask)
    return Logits(window, np.where(crop != 0, GIVEN_LOGIT, -GIVEN_LOGIT).astype(np.float32), 1.0)


def _dropped(iou: float) -> Logits:
    """No mask, with SAM's reason: a predicted IoU below the threshold; 0 where it had no prompt."""
    return replace(NO_MASK, score=float(np.clip(iou, 0, 1)))


def _cropped(logits: torch.Tensor, iou: float) -> Logits:
    """The answer of one object from its logits (H, W): the part round its mask is all that leaves the device."""
    mask = logits > 0
    rows, columns = mask.any(dim=1).nonzero(), mask.any(dim=0).nonzero()
    if not len(rows):
        return _dropped(iou)
    top, left, bottom, right = (int(v) for v in (rows[0], columns[0], rows[-1], columns[-1]))
    crop = logits[top : bottom + 1, left : right + 1].cpu().numpy()
    return Logits((left, top, right - left + 1, bottom - top + 1), crop, float(np.clip(iou, 0, 1)))
