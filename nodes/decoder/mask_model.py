"""What a mask model is: the protocol that SAM, the classical `lite` or a four-line fake stand behind."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from stream.arrays import Array

if TYPE_CHECKING:  # masks need no messages: fitting runs where none of their packages is
    from stream.messages import ObjectTrack, Prompt

Window = tuple[int, int, int, int]  # x, y, width, height in whole frame px
Embedding = Any  # what a model keeps of one frame; opaque to the segmenter


@dataclass(frozen=True)
class Query:
    """One object on one frame: what the model may go by."""

    track: ObjectTrack  # its points, also the hidden ones
    prompt: Prompt | None = None  # the user's, on this very frame
    lost: bool = False  # its last masks were not believed, or showed a part alone: look for it everywhere

    @property
    def object_id(self) -> int:
        """The object that the points belong to."""
        return self.track.object_id

    @property
    def prompted(self) -> bool:
        """Whether the user says so; a prompt that restores an object is not the user's word, and may be out of date."""
        return self.prompt is not None and self.prompt.kind != "restore"


@dataclass(frozen=True)
class Logits:
    """A model's answer for one object: a mask pixel is one whose logit is above 0. Outside the window there is none."""

    window: Window
    logits: Array  # (height, width) float32, at frame resolution
    score: float  # 0..1, the model's own quality guess
    doubt: str = ""  # what speaks against this being the object at all, in a few words; empty: nothing does
    part: bool = False  # a lost object comes out where it went in: of the whole, which is still searched, this is seen


NO_MASK = Logits((0, 0, 0, 0), np.zeros((0, 0), np.float32), 0.0)


@dataclass(frozen=True)
class Verdict:
    """What became of a model's answer: the mask that was published, and whether to learn from it."""

    mask: Array  # (H, W) uint8, exclusive; empty when the object counts as lost
    trusted: bool  # the object is tracked: its look may be learnt from this mask
    lost: bool


@dataclass(frozen=True)
class ScoreLimits:
    """What a model's score means."""

    clear: float = 0.5  # a mask that is rated this high shows the object clearly
    weak: float = 0.25  # one that is rated lower is no mask
    sure: float = math.inf  # one that is rated this high is believed even while none of its points is visible


@dataclass(frozen=True)
class MaskModelTraits:
    """How a segmenter has to treat a model."""

    every_frame: bool  # it learns from frames without objects, too, so that it has to see each of them
    points_contradict: bool  # points that lie elsewhere than its mask speak against the mask
    own_seeds: bool  # points are drawn from an object's own mask, before other objects take their pixels from it
    limits: ScoreLimits


class MaskModel(Protocol):
    """Points and prompts in, logits out; all objects of a frame in one call."""

    @property
    def traits(self) -> MaskModelTraits:
        """How to treat it; they never change."""

    def encode(self, rgb: Array) -> Embedding:
        """What the model needs of a frame, (H, W, 3) uint8; called once a frame, in order."""

    def decode(self, embedding: Embedding, queries: Sequence[Query]) -> Sequence[Logits]:
        """One answer a query, in their order. Each may use the others, as negatives for instance."""

    def learn(self, embedding: Embedding, verdicts: Mapping[int, Verdict]) -> None:
        """What was published on this frame, by object id. SAM forgets it; a model with memory of its own adapts."""

    def forget(self, object_id: int) -> None:
        """Drop all memory of an object."""

    def resize(self, old_size: tuple[int, int], new_size: tuple[int, int]) -> None:
        """The frame size (H, W) changes before the next `encode`: carry the memory over."""


@runtime_checkable
class SparingModel(MaskModel, Protocol):
    """A `MaskModel` whose frames do not depend on each other, and that can do with fewer passes."""

    def decode_sparingly(
        self, embedding: Embedding, queries: Sequence[Query], refinement_passes: int
    ) -> tuple[Sequence[Logits], int]:
        """As `decode`, with at most so many refinement passes; and how many passes there were in all."""


@runtime_checkable
class RememberingModel(MaskModel, Protocol):
    """A `MaskModel` with a memory of each object, which may be made beside the feed."""

    def beside(self) -> RememberingModel:
        """A model of the same kind that has seen nothing; what both need and neither changes is shared."""

    def adopt(self, object_id: int, other: RememberingModel) -> None:
        """Take over another one's memory of an object, as of the last frame that both have seen."""


@dataclass(frozen=True)
class Candidates:
    """The masks that a prompt may mean."""

    masks: Sequence[Array]  # (H, W) uint8 each, by area, the smallest first
    default: int  # which of them the prompt gives without a choice


@runtime_checkable
class ChoosingModel(MaskModel, Protocol):
    """A `MaskModel` that knows several masks of a prompt."""

    def candidates(self, embedding: Embedding, query: Query) -> Candidates:
        """The masks that the prompt of a query may mean; one at least."""


@runtime_checkable
class CarryingModel(MaskModel, Protocol):
    """A `MaskModel` that has to see every frame, but need not decode every object on each."""

    detail: float  # 0..1, of the pixels that it would work with: less costs less, where the feed leaves no time for all

    def is_absent(self, object_id: int) -> bool:
        """Whether an object is out of sight: to decode it costs next to nothing."""

    def carry(
        self, embedding: Embedding, object_ids: Sequence[int], prompts: Mapping[int, Prompt], prompted: bool
    ) -> Mapping[int, Array]:
        """Let objects move along with the picture, which `decode`, called next, is not asked about on this frame.

        Their motion since the last frame, (2, 3) by object, and that of what `prompts` show, whose objects wait;
        `prompted`: some object has a prompt on this frame.
        """
