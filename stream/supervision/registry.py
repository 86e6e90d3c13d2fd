"""The objects that are followed: prompts and published masks in; what brings every object back after a restart, out.

The supervisor owns this registry, because it outlives every node. A run never uses an id twice, and the next run goes
on where the last one ended; once all are used, it begins again with those that are free. `journal.py` writes it to a
file.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from stream.crops import PackedMask, uncrop_mask
from stream.errors import ControlError
from stream.geometry import Size, resize_mask
from stream.messages import MAX_OBJECT_ID, Masks, ObjectMask, Prompt, Stamp
from stream.supervision.prompt_checks import check_label, points_of

GOOD = ("tracked", "reacquired")  # states whose mask is believed
MAX_REFINEMENTS = 100  # of one object, until its first mask


@dataclass
class Entry:
    """One object: the prompt that it began with, and its newest masks."""

    prompt: Prompt  # without its mask, which `first_prompt` puts in again
    size: Size  # of the frame that the prompt, and later the mask, belongs to
    fingerprint: list[Any]  # of the first prompt, as the journal writes it
    newest: ObjectMask | None = None  # as last published
    last_mask: ObjectMask | None = None  # the last good one that is not empty; before there is a good one, the last
    seen_unix_ns: int = 0  # when the object was last seen well; 0: never
    frame_id: int = -1  # of `newest`
    label: str = ""  # what the user calls it
    lost_since: float | None = None  # when the first mask came that was lost, s since 1970; None: it is not lost
    refinements: list[Prompt] = field(default_factory=list)  # until there is a mask
    packed_mask: PackedMask | None = None  # of the prompt; None: it has none

    def __post_init__(self) -> None:
        if self.prompt.mask is not None:
            self.packed_mask = PackedMask.pack(self.prompt.mask)
            self.prompt = msgspec.structs.replace(self.prompt, mask=None)

    @property
    def first_prompt(self) -> Prompt:
        """The prompt that it began with, as it was given."""
        if self.packed_mask is None:
            return self.prompt
        return msgspec.structs.replace(self.prompt, mask=self.packed_mask.unpack())

    def observe(self, published: ObjectMask, stamp: Stamp, size: Size) -> None:
        """Take in what was published of the object, unless it is older than what is here."""
        if stamp.frame_id < self.frame_id:
            return
        self.newest, self.frame_id = published, stamp.frame_id
        if published.state != "lost":
            self.lost_since = None
        elif self.lost_since is None:
            self.lost_since = round(stamp.captured_unix_ns / 1e9, 3)
        good = published.state in GOOD
        if published.area > 0 and (good or not self.seen_unix_ns):
            self.last_mask, self.size = published, size
            self.seen_unix_ns = stamp.captured_unix_ns if good else 0
            self.refinements.clear()


class Registry:
    """Every object of the run by id."""

    def __init__(
        self,
        entries: Mapping[int, Entry] | None = None,
        next_id: int = 1,
        zone_changes: dict[str, dict[str, Any] | None] | None = None,
    ) -> None:
        self.zone_changes = zone_changes or {}  # what requests have made of the config's zones: `zone_book.py`
        self.entries: dict[int, Entry] = dict(entries or {})
        self.next_id = next_id if next_id <= MAX_OBJECT_ID else 1
        self._ahead = {i for i in self.entries if i >= self.next_id}  # ids that are used, the count having begun again
        self._pass_over_used()
        self.size: Size | None = None  # of the newest frame; None until the source is open

    def resize(self, size: Size) -> None:
        """Frames have this size from now on."""
        self.size = size

    def add(self, prompt: Prompt, size: Size) -> Prompt:
        """Take in a new object; its id must never have been used."""
        if self.is_used(prompt.object_id):
            raise ControlError(
                "bad_params", f"object id {prompt.object_id} has been used; the next free is {self.next_id}"
            )
        if prompt.object_id > MAX_OBJECT_ID:
            raise ControlError(
                "bad_params",
                f"all {MAX_OBJECT_ID} object ids are used; restart the run: it uses those of removed objects",
            )
        self.entries[prompt.object_id] = Entry(prompt, size, fingerprint_of(prompt))
        self.next_id = prompt.object_id + 1
        self._pass_over_used()
        return prompt

    def is_used(self, object_id: int) -> bool:
        """Whether an object has, or had, that id."""
        return object_id < self.next_id or object_id in self._ahead

    def began_with(self, prompt: Prompt) -> bool:
        """Whether the object of that id began with just this prompt: the same command line, used again."""
        entry = self.entries.get(prompt.object_id)
        return entry is not None and entry.fingerprint == fingerprint_of(prompt)

    def refine(self, prompt: Prompt) -> None:
        """Keep more points of an object, in case it has to be restored before its first mask."""
        entry = self.entry(prompt.object_id)
        if entry.last_mask is None and len(entry.refinements) < MAX_REFINEMENTS:
            entry.refinements.append(prompt)

    def undo(self, object_id: int) -> None:
        """Forget the newest points of an object that would be given again before its first mask."""
        if refinements := self.entry(object_id).refinements:
            refinements.pop()

    def rename(self, object_id: Any, label: str) -> None:
        """Call an object something; ControlError when there is none, or the label is too long or no line of text."""
        entry = self.entry(object_id)
        check_label(label)
        entry.label = label

    @property
    def labels(self) -> dict[int, str]:
        """The labels of the objects that have one."""
        return {object_id: e.label for object_id, e in self.entries.items() if e.label}

    def _pass_over_used(self) -> None:
        while self.next_id in self._ahead:
            self.next_id += 1

    def remove(self, object_id: int) -> None:
        """Forget an object; its id stays used."""
        self.entry(object_id)
        del self.entries[object_id]

    def entry(self, object_id: Any) -> Entry:
        """The object's entry; ControlError when there is none."""
        if type(object_id) is not int or object_id not in self.entries:
            ids = ", ".join(map(str, self.entries)) or "none"
            raise ControlError("unknown_object", f"no object {object_id!r}; there are: {ids}")
        return self.entries[object_id]

    def observe(self, masks: Masks) -> None:
        """Take in what was published last."""
        self.resize(masks.size)
        for published in masks.objects:
            if (entry := self.entries.get(published.object_id)) is not None:
                entry.observe(published, masks.stamp, masks.size)

    def prompts(self) -> list[Prompt]:
        """What restores every object: its last good mask where there is one, else the prompts that were given."""
        prompts = []
        for object_id, entry in self.entries.items():
            if entry.last_mask is None:
                prompts += [entry.first_prompt, *entry.refinements]
            else:
                mask = uncrop_mask(entry.last_mask.bbox, entry.last_mask.mask, entry.size)
                prompts.append(
                    Prompt(
                        object_id=object_id,
                        kind="restore",
                        mask=resize_mask(mask, self.size or entry.size),
                        seen_unix_ns=entry.seen_unix_ns,
                    )
                )
        return prompts

    def list_objects(self) -> list[dict[str, Any]]:
        """The objects, as the reply to list_objects holds them."""
        return [
            {
                "id": object_id,
                "label": e.label,
                "state": e.newest.state if e.newest else "starting",
                "reason": e.newest.reason if e.newest else "",
                "lost_since": e.lost_since,
                "bbox": list(e.newest.bbox) if e.newest else None,
                "area": e.newest.area if e.newest else None,
                "score": round(e.newest.score, 4) if e.newest else None,
                "frame_id": e.frame_id if e.newest else None,
            }
            for object_id, e in self.entries.items()
        ]


def fingerprint_of(prompt: Prompt) -> list[Any]:
    """Points, box and a checksum of the mask: enough to recognise the same prompt, and plain JSON."""
    box = list(map(float, prompt.box)) if prompt.box else None
    return [points_of(prompt), box, zlib.crc32(prompt.mask.tobytes()) if prompt.mask is not None else 0]
