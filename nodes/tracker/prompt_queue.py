"""What was asked for between two frames: objects to add, to refine and to remove, in the order that it came."""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from nodes.tracker.tracked_object import TrackedObject
from stream.geometry import resize_mask
from stream.held_prompt import HeldPrompt
from stream.messages import Prompt


class PromptQueue:
    """All that waits for the next frame."""

    def __init__(self) -> None:
        self._requests: list[tuple[Literal["add", "refine", "remove"], HeldPrompt]] = []

    def add(self, prompt: Prompt) -> None:
        """A new object; an id that is taken is given to the new object."""
        self._requests.append(("add", HeldPrompt.of(prompt)))

    def refine(self, prompt: Prompt) -> None:
        """More points for an object."""
        self._requests.append(("refine", HeldPrompt.of(prompt)))

    def take_back(self, object_id: int) -> bool:
        """Drop the newest points of an object that still wait; False where there are none."""
        for i in reversed(range(len(self._requests))):
            action, prompt = self._requests[i]
            if prompt.object_id == object_id:
                if action == "refine":
                    del self._requests[i]
                return action == "refine"
        return False

    def remove(self, object_id: int) -> None:
        """An object less; an id that is unknown stays so."""
        self._requests.append(("remove", HeldPrompt.of(Prompt(object_id=object_id))))

    def ids(self, alive: dict[int, TrackedObject]) -> list[int]:
        """The ids of the objects that there will be once all is carried out."""
        ids = dict.fromkeys(alive)
        for action, prompt in self._requests:
            if action == "add":
                ids[prompt.object_id] = None
            elif action == "remove":
                ids.pop(prompt.object_id, None)
        return list(ids)

    def carry_out(self, alive: dict[int, TrackedObject], size: tuple[int, int]) -> list[Prompt]:
        """Change the objects as asked for; the prompts that begin on a frame of that size (H, W)."""
        prompts: list[Prompt] = []
        for action, prompt in self._requests:
            if action == "remove":
                alive.pop(prompt.object_id, None)
                prompts = [p for p in prompts if p.object_id != prompt.object_id]
                continue
            resized = _resized(prompt.whole, size)
            if action == "add":
                alive[prompt.object_id] = TrackedObject(prompt.object_id, resized)
            if prompt.object_id in alive:
                prompts.append(resized)
        self._requests.clear()
        return prompts


def _resized(prompt: Prompt, size: tuple[int, int]) -> Prompt:
    """The prompt with its mask at the frame's size: it may have been given just before the size changed."""
    return prompt if prompt.mask is None else replace(prompt, mask=resize_mask(prompt.mask, size))
