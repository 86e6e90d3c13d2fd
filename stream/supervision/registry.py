"""The objects that somebody asked to follow: requests in, prompts out; ids are never reused; kept in a journal.

The supervisor owns this registry, because it outlives every node: whoever is restarted gets its objects back from here.
"""

from __future__ import annotations

import base64
import json
import logging
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stream.arrays import Array
from stream.crops import crop_mask, uncrop_mask
from stream.errors import ConfigError, ControlError
from stream.geometry import Size, resize_mask
from stream.messages import MAX_OBJECT_ID, Masks, ObjectMask, Prompt

log = logging.getLogger(__name__)

MAX_POINTS = 1000  # a request with more is a mistake


@dataclass
class Entry:
    """One object: how it was asked for, and the last that is known of it."""

    prompt: Prompt
    size: Size  # of the frame that the prompt, and later the mask, belongs to
    shown: ObjectMask | None = None  # as last published
    good: ObjectMask | None = None  # the last one with a mask
    frame_id: int = -1
    refinements: list[Prompt] = field(default_factory=list)  # until a mask is known
    asked: list[Any] = field(default_factory=list)  # what somebody first asked for, as the journal tells it


class Registry:
    """Every object of the run by id."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.next_id = 1
        self.size: Size | None = None  # of the newest frame; None until the source is open

    def add(self, prompt: Prompt, size: Size) -> Prompt:
        """Take in a new object; its id must never have been used."""
        if prompt.object_id < self.next_id:
            raise ControlError(
                "bad_params", f"object id {prompt.object_id} has been used; the next free is {self.next_id}"
            )
        if prompt.object_id > MAX_OBJECT_ID:
            raise ControlError("bad_params", f"all {MAX_OBJECT_ID} object ids are used; start the run anew")
        self.entries[prompt.object_id] = Entry(prompt, size, asked=_asked(prompt))
        self.next_id = prompt.object_id + 1
        return prompt

    def knows(self, prompt: Prompt) -> bool:
        """Whether the object of that id was asked for with just this prompt: the same command, started again."""
        entry = self.entries.get(prompt.object_id)
        return entry is not None and entry.asked == _asked(prompt)

    def refine(self, prompt: Prompt) -> None:
        """Note more points of an object, in case it has to be started anew before its first mask."""
        entry = self.entry(prompt.object_id)
        if entry.good is None and len(entry.refinements) < 100:
            entry.refinements.append(prompt)

    def remove(self, object_id: int) -> None:
        """Forget an object; its id stays used."""
        self.entry(object_id)
        del self.entries[object_id]

    def entry(self, object_id: Any) -> Entry:
        """The object's entry; ControlError when there is none."""
        if type(object_id) is not int or object_id not in self.entries:
            known = ", ".join(map(str, self.entries)) or "none"
            raise ControlError("unknown_object", f"no object {object_id!r}; there are: {known}")
        return self.entries[object_id]

    def observe(self, masks: Masks) -> None:
        """Keep what was published last."""
        self.size = masks.size
        for shown in masks.objects:
            entry = self.entries.get(shown.object_id)
            if entry is None or masks.stamp.frame_id < entry.frame_id:
                continue
            entry.shown, entry.frame_id = shown, masks.stamp.frame_id
            if shown.area > 0:
                entry.good, entry.size = shown, masks.size
                entry.refinements.clear()

    def prompts(self) -> list[Prompt]:
        """What starts every object anew: its last mask where one is known, else what was asked for."""
        prompts = []
        for object_id, entry in self.entries.items():
            if entry.good is None:
                prompts += [entry.prompt, *entry.refinements]
            else:
                mask = uncrop_mask(entry.good.bbox, entry.good.mask, entry.size)
                prompts.append(
                    Prompt(object_id=object_id, kind="restore", mask=resize_mask(mask, self.size or entry.size))
                )
        return prompts

    def listed(self) -> list[dict[str, Any]]:
        """The objects as list_objects tells them."""
        return [
            {
                "id": object_id,
                "state": e.shown.state if e.shown else "starting",
                "bbox": list(e.shown.bbox) if e.shown else None,
                "area": e.shown.area if e.shown else None,
                "score": round(e.shown.score, 4) if e.shown else None,
                "frame_id": e.frame_id if e.shown else None,
            }
            for object_id, e in self.entries.items()
        ]

    # --- the journal ---

    def save(self, path: Path) -> None:
        """Write the journal, atomically: a reader sees the old one or the new one."""
        part = path.with_suffix(path.suffix + ".part")
        part.write_text(json.dumps({"journal": 1, "next_id": self.next_id, "objects": self._to_plain()}))
        part.replace(path)

    def _to_plain(self) -> list[dict[str, Any]]:
        objects = []
        for object_id, entry in self.entries.items():
            prompt, good = entry.prompt, entry.good
            if good is not None:
                bbox, mask = good.bbox, good.mask
            elif prompt.mask is not None:
                bbox, mask = crop_mask(prompt.mask)
            else:
                bbox, mask = (0, 0, 0, 0), np.zeros((0, 0), np.uint8)
            objects.append(
                {
                    "id": object_id,
                    "size": entry.size,
                    "points": points_of(prompt),
                    "box": prompt.box,
                    "mask": {"bbox": bbox, "packbits": base64.b64encode(np.packbits(mask).tobytes()).decode()},
                    "restored": good is not None,
                    "asked": entry.asked,
                }
            )
        return objects

    @classmethod
    def load(cls, path: Path) -> Registry:
        """The registry of a journal; empty when there is none, ConfigError when it can't be read."""
        registry = cls()
        if not path.exists():
            return registry
        try:
            plain = json.loads(path.read_text())
            for o in plain["objects"]:
                size = (int(o["size"][0]), int(o["size"][1]))
                mask = None
                if o["mask"]["bbox"][2]:
                    mask = packed_mask(o["mask"], size)
                kind = "restore" if o["restored"] else "add"
                xy, labels = point_arrays(o["points"])
                box = tuple(map(float, o["box"])) if o["box"] else None
                if kind == "restore":
                    xy = labels = box = None
                prompt = Prompt(object_id=int(o["id"]), kind=kind, xy=xy, labels=labels, box=box, mask=mask)  # type: ignore[arg-type]
                registry.entries[prompt.object_id] = Entry(prompt, size, asked=list(o["asked"]))
            registry.next_id = int(plain["next_id"])
        except (OSError, ValueError, KeyError, TypeError, IndexError, ControlError) as error:
            raise ConfigError(
                f"supervisor.journal {path}: can't be read ({error}); remove the file to start without it"
            ) from None
        return registry


def _asked(prompt: Prompt) -> list[Any]:
    """Points, box and a checksum of the mask: enough to know the same prompt again, and plain JSON."""
    box = list(map(float, prompt.box)) if prompt.box else None
    return [points_of(prompt), box, zlib.crc32(prompt.mask.tobytes()) if prompt.mask is not None else 0]


def points_of(prompt: Prompt) -> list[list[float]]:
    """[[x, y, label], ...] of a prompt."""
    if prompt.xy is None or prompt.labels is None:
        return []
    return [[float(x), float(y), int(label)] for (x, y), label in zip(prompt.xy, prompt.labels, strict=True)]


def point_arrays(points: Any) -> tuple[Array | None, Array | None]:
    """xy (N, 2) float32 and labels (N,) uint8 of [[x, y, label?], ...]; ControlError when they are none."""
    if not points:
        return None, None
    if not isinstance(points, list) or len(points) > MAX_POINTS:
        raise ControlError("bad_params", f"points: needs a list of at most {MAX_POINTS} points [x, y, label]")
    for p in points:
        numbers = isinstance(p, list) and len(p) in (2, 3) and all(type(v) in (int, float) for v in p)
        if not numbers or not all(abs(v) < 1e6 for v in p) or (len(p) == 3 and p[2] not in (0, 1)):
            raise ControlError("bad_params", f"points: {str(p)[:60]} is no [x, y] or [x, y, label] with label 0 or 1")
    xy = np.array([p[:2] for p in points], np.float32)
    return xy, np.array([p[2] if len(p) == 3 else 1 for p in points], np.uint8)


def packed_mask(value: Any, size: Size) -> Array:
    """(H, W) uint8 mask of {"bbox": [x, y, w, h], "packbits": base64}; ControlError when it is none."""
    try:
        x, y, width, height = (int(v) for v in value["bbox"])
        data = np.frombuffer(base64.b64decode(value["packbits"], validate=True), np.uint8)
    except (TypeError, ValueError, KeyError):
        raise ControlError("bad_params", 'mask: needs {"bbox": [x, y, w, h], "packbits": base64}') from None
    if min(x, y) < 0 or min(width, height) < 1 or x + width > size[1] or y + height > size[0]:
        raise ControlError(
            "outside_frame", f"mask: its box {[x, y, width, height]} leaves the frame of {size[1]}x{size[0]}"
        )
    if data.size != (width * height + 7) // 8:
        raise ControlError("bad_params", f"mask: {data.size} bytes of packbits do not fill {width}x{height} pixels")
    return uncrop_mask((x, y, width, height), np.unpackbits(data, count=width * height).reshape(height, width), size)


def check_prompt(prompt: Prompt, size: Size) -> None:
    """Refuse a prompt that does not fit a frame of `size`; ControlError says where it lies."""
    height, width = size
    where = f"outside the frame of {width}x{height}"
    if prompt.xy is not None:
        for x, y in prompt.xy:
            if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
                raise ControlError("outside_frame", f"point {x:g},{y:g} of object {prompt.object_id} lies {where}")
    if prompt.box is not None:
        x1, y1, x2, y2 = prompt.box
        text = f"box {x1:g},{y1:g},{x2:g},{y2:g} of object {prompt.object_id}"
        if not (x1 < x2 and y1 < y2):
            raise ControlError("bad_params", f"{text} is inverted or empty; needs x1 < x2 and y1 < y2")
        if x1 < 0 or y1 < 0 or x2 > width or y2 > height:
            raise ControlError("outside_frame", f"{text} leaves the frame of {width}x{height}")
    if prompt.mask is not None and prompt.mask.shape != size:
        h, w = prompt.mask.shape
        raise ControlError("bad_params", f"mask of {w}x{h} came for a frame of {width}x{height}; they must be equal")
    if prompt.mask is not None and not prompt.mask.any():
        raise ControlError("bad_params", f"mask of object {prompt.object_id} is empty")
    positive = prompt.labels is not None and bool((prompt.labels == 1).any())
    if prompt.kind == "add" and not positive and prompt.box is None and prompt.mask is None:
        raise ControlError("bad_params", f"object {prompt.object_id} needs a positive point, a box or a mask")
