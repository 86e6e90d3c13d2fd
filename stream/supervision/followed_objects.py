"""Which objects are followed: prompts, requests and what was found in; commands to the nodes out.

The registry keeps what brings them back; what has changed in it is written to the journal by the session.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from stream.commands import Command, FindObjects, GivePrompt, RemoveObject, SetLabels, UndoPoint
from stream.errors import ControlError
from stream.geometry import Size
from stream.messages import Masks, Prompt
from stream.reports import Found, Opened
from stream.settings.config import Config
from stream.settings.options import resolve
from stream.supervision.prompt_checks import check_label, check_prompt
from stream.supervision.registry import Registry

log = logging.getLogger(__name__)

LABELLED = ("renderer", "publisher")  # nodes that show what the user calls an object


class FollowedObjects:
    """The objects of one camera."""

    def __init__(self, config: Config, registry: Registry, send: Callable[[str, Command], None]) -> None:
        """`send` drops what goes to a node that still loads: it gets every prompt and label when it begins."""
        self.registry = registry
        self.changed = False  # since `take_change`
        self._send = send
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Go on with this config."""
        self._most = config.control.max_objects
        self._wanted = config.decoder.auto  # by object discovery
        self._backend = config.decoder.backend
        self._finds = resolve(config).discovery is not None  # the mask model can look for objects by itself

    def frame_size(self) -> Size:
        """(height, width) of the newest frame; ControlError where there is none yet."""
        if self.registry.size is None:
            raise ControlError("not_ready", "the source is not open yet; try again when frames come")
        return self.registry.size

    def take_change(self) -> bool:
        """Whether an object was added, changed or removed since the last call."""
        changed, self.changed = self.changed, False
        return changed

    def observe(self, masks: Masks) -> None:
        """Masks were published: keep them for a restart."""
        self.registry.observe(masks)

    # --- what people ask for ---

    def add(self, request: int = 0, label: str = "", **fields: Any) -> int:
        """Follow a new object, given by the fields of a Prompt; its id. ControlError where that does not fit.

        `request`: that the tracker is to answer.
        """
        check_label(label)
        size = self.frame_size()
        self._check_room()
        prompt = Prompt(object_id=self.registry.next_id, **fields)
        check_prompt(prompt, size)
        self.registry.add(replace(prompt, frame=None, candidate=None), size)  # the frame is gone when a node has died
        self._give(prompt, request)
        if label:
            self.rename(prompt.object_id, label)
        return prompt.object_id

    def refine(self, prompt: Prompt, request: int = 0) -> None:
        """Give more points of an object; ControlError where they do not fit."""
        check_prompt(prompt, self.frame_size())
        if prompt.frame is None:
            self.registry.refine(prompt)
        self._give(prompt, request)

    def remove(self, object_id: int) -> None:
        """Follow an object no longer; ControlError where there is none of that id."""
        self.registry.remove(object_id)
        self.changed = True
        self._send("tracker", RemoveObject(object_id=object_id))

    def undo(self, object_id: int, request: int) -> None:
        """Bring an object back to what it was before its newest points, if the tracker can; it answers the request."""
        self.registry.undo(object_id)
        self.changed = True
        self._send("tracker", UndoPoint(object_id=object_id, request=request))

    def find(self, count: int) -> int:
        """Look for new objects, `count` at most; for how many there is room. ControlError where that can't be done."""
        if not self._finds:
            raise ControlError(
                "unsupported",
                f"decoder.backend {self._backend} follows what it is shown, and finds nothing by itself; add objects, "
                "or start with a preset of SAM (docs/presets.md)",
            )
        self.frame_size()
        self._check_room()
        count = min(count, self._most - len(self.registry.entries))
        self._send("tracker", FindObjects(count=count))
        return count

    def rename(self, object_id: int, label: str) -> None:
        """Call an object something; ControlError where there is none of that id, or that is no label."""
        self.registry.rename(object_id, label)
        self.changed = True
        for node in LABELLED:
            self._send(node, SetLabels(labels=self.registry.labels))

    # --- what the run begins with, and what is found ---

    def take_first_prompts(self, prompts: Sequence[Prompt], opened: Opened) -> None:
        """Take in the prompts of the command line, or else those that the source suggests."""
        suggested = () if self.registry.entries or self._wanted else opened.prompts
        for prompt in prompts or suggested:
            if self.registry.began_with(prompt):
                log.info("object %d is in the journal already; its prompt is not used again", prompt.object_id)
                continue
            if self.registry.is_used(prompt.object_id):
                log.info("id %d is used in the journal; the new object is %d", prompt.object_id, self.registry.next_id)
                prompt = replace(prompt, object_id=self.registry.next_id)
            self._check_room()
            check_prompt(prompt, opened.size)
            self.registry.add(prompt, opened.size)

    def take_found(self, found: Found, *, exact: bool) -> list[int]:
        """Add what was found until there are `decoder.auto` objects, or as many new ones as requested; the new ids.

        `exact`: the prompts begin on the very frame of the masks. Else the mask is where SAM begins to look, and a
        point comes along, so that SAM is prompted.
        """
        ids: list[int] = []
        if found.size != self.registry.size:
            log.info("the frame size has changed since frame %d: what was found there is dropped", found.frame_id)
            return ids
        room = found.count or max(0, self._wanted - len(self.registry.entries))
        for o in found.objects[:room]:
            xy = None if exact else np.array([o.inside], np.float32)
            labels = None if exact else np.ones(1, np.uint8)
            try:
                ids.append(self.add(mask=o.whole(found.size), xy=xy, labels=labels))
            except ControlError as error:
                log.warning("an object that was found is not followed: %s", error)
        return ids

    def _check_room(self) -> None:
        """Refuse one object too many; ControlError."""
        if len(self.registry.entries) >= self._most:
            raise ControlError(
                "too_many_objects",
                f"{len(self.registry.entries)} objects are followed, which is the most; remove one, or start with "
                "--set control.max_objects=N",
            )

    def send_to_tracker(self, command: Command) -> None:
        """What changes no object."""
        self._send("tracker", command)

    def _give(self, prompt: Prompt, request: int = 0) -> None:
        self.changed = True
        self._send("tracker", GivePrompt(prompt=prompt, request=request))
