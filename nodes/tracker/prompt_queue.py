"""What was asked for between two frames: objects to add, to refine and to remove, in the order that it came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from nodes.tracker.prompts_on_frames import PastPrompt
from nodes.tracker.tracked_object import TrackedObject
from stream import geometry
from stream.geometry import Size, resize_mask
from stream.messages import Prompt


@dataclass(frozen=True)
class Request:
    """One of the things that were asked for."""

    action: Literal["add", "refine", "remove"]
    prompt: Prompt
    past: PastPrompt | None = None  # where the prompt acts on a frame of the past


class PromptQueue:
    """All that waits for the next frame."""

    def __init__(self) -> None:
        self._requests: list[Request] = []

    def add(self, prompt: Prompt) -> None:
        """A new object; an id that is taken is given to the new object."""
        self._requests.append(Request("add", prompt))

    def refine(self, prompt: Prompt) -> None:
        """More points for an object."""
        self._requests.append(Request("refine", prompt))

    def remove(self, object_id: int) -> None:
        """An object less; an id that is unknown stays so."""
        self._requests.append(Request("remove", Prompt(object_id=object_id)))

    def add_past(self, past: PastPrompt) -> None:
        """A prompt on a frame of the past: of a new object, or of one that is followed."""
        action: Literal["add", "refine"] = "refine" if past.prompt.kind == "refine" else "add"
        self._requests.append(Request(action, past.prompt, past))

    def begins_in_the_past(self, object_id: int) -> bool:
        """Whether the object waits for a prompt on a frame of the past."""
        return any(r.past is not None and r.prompt.object_id == object_id for r in self._requests)

    def move_to_present(self, old_size: Size, new_size: Size) -> None:
        """Let the prompts on frames of the past begin on the next frame: it has another size, and those are gone."""
        scale = geometry.rescaling(old_size, new_size)
        for i, request in enumerate(self._requests):
            if request.past is not None:
                p = request.prompt
                xy = None if p.xy is None else geometry.apply(scale, p.xy)
                self._requests[i] = Request(request.action, replace(p, xy=xy, frame=None))

    def ids(self, alive: dict[int, TrackedObject]) -> list[int]:
        """The ids of the objects that there will be once all is carried out."""
        ids = dict.fromkeys(alive)
        for request in self._requests:
            if request.action == "add":
                ids[request.prompt.object_id] = None
            elif request.action == "remove":
                ids.pop(request.prompt.object_id, None)
        return list(ids)

    def carry_out(self, alive: dict[int, TrackedObject], size: Size) -> tuple[list[Prompt], list[PastPrompt]]:
        """Change the objects as asked for; the prompts that begin on a frame of that size (H, W), and on past ones."""
        prompts: list[Prompt] = []
        past: list[PastPrompt] = []
        for request in self._requests:
            object_id = request.prompt.object_id
            if request.action == "remove":
                alive.pop(object_id, None)
                prompts = [p for p in prompts if p.object_id != object_id]
                past = [p for p in past if p.prompt.object_id != object_id]
                continue
            if request.past is not None:
                if request.action == "add" and object_id not in alive:
                    alive[object_id] = TrackedObject(object_id, replace(request.prompt, frame=None))
                if object_id in alive:
                    past.append(request.past)
                continue
            resized = _resized(request.prompt, size)
            if request.action == "add":
                alive[object_id] = TrackedObject(object_id, resized)
            if object_id in alive:
                prompts.append(resized)
        self._requests.clear()
        return prompts, past


def _resized(prompt: Prompt, size: Size) -> Prompt:
    """The prompt with its mask at the frame's size: it may have been given just before the size changed."""
    return prompt if prompt.mask is None else replace(prompt, mask=resize_mask(prompt.mask, size))
