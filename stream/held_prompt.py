"""A prompt that is kept as long as its object, in little memory: whole, a mask of an 8K frame takes 33 MB."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from stream.crops import PackedMask
from stream.messages import FrameRef, Prompt


@dataclass(frozen=True)
class HeldPrompt:
    """A prompt, its mask packed."""

    without_mask: Prompt
    packed_mask: PackedMask | None  # None: it has none

    @classmethod
    def of(cls, prompt: Prompt) -> HeldPrompt:
        """What is kept of a prompt."""
        if prompt.mask is None:
            return cls(prompt, None)
        return cls(replace(prompt, mask=None), PackedMask.pack(prompt.mask))

    @property
    def object_id(self) -> int:
        """The object that it is about."""
        return self.without_mask.object_id

    @property
    def frame(self) -> FrameRef | None:
        """The frame that it names."""
        return self.without_mask.frame

    @property
    def whole(self) -> Prompt:
        """The prompt as it was given."""
        if self.packed_mask is None:
            return self.without_mask
        return replace(self.without_mask, mask=self.packed_mask.unpack())
