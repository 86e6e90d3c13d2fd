"""The journal: the objects of a registry in a JSON file, so that they outlive the run."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from stream.crops import crop_mask
from stream.errors import ConfigError, ControlError
from stream.messages import Prompt
from stream.settings.config import Config
from stream.supervision.prompt_checks import packed_mask, point_arrays, points_of
from stream.supervision.registry import Entry, Registry


class Journal:
    """The file of one camera's journal."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Registry:
        """The registry in the file; empty when there is no file, ConfigError when it can't be read."""
        if not self.path.exists():
            return Registry()
        try:
            return from_journal(self.path.read_text())
        except (OSError, ValueError, KeyError, TypeError, IndexError, ControlError) as error:
            raise ConfigError(
                f"supervisor.journal {self.path}: can't be read ({error}); remove the file to start without it"
            ) from None

    def save(self, contents: str) -> None:
        """Write the file, atomically: a reader sees the old one or the new one."""
        part = self.path.with_suffix(self.path.suffix + ".part")
        part.write_text(contents)
        part.replace(self.path)


def find_journal(config: Config) -> Journal | None:
    """The journal that the config names, if it names one."""
    name = config.supervisor.journal
    return Journal(Path(name.replace("{camera}", config.capture.camera))) if name else None


def to_journal(registry: Registry) -> str:
    """The contents of the file."""
    objects = [_to_plain(object_id, entry) for object_id, entry in registry.entries.items()]
    return json.dumps({"journal": 1, "next_id": registry.next_id, "objects": objects})


def from_journal(contents: str) -> Registry:
    """The registry that the contents of a file describe; what is raised where they are no journal varies."""
    plain = json.loads(contents)
    entries = {int(o["id"]): _from_plain(o) for o in plain["objects"]}
    return Registry(entries, int(plain["next_id"]))


def _to_plain(object_id: int, entry: Entry) -> dict[str, Any]:
    prompt, last_mask = entry.prompt, entry.last_mask
    if last_mask is not None:
        bbox, mask = last_mask.bbox, last_mask.mask
    elif prompt.mask is not None:
        bbox, mask = crop_mask(prompt.mask)
    else:
        bbox, mask = (0, 0, 0, 0), np.zeros((0, 0), np.uint8)
    return {
        "id": object_id,
        "size": entry.size,
        "points": points_of(prompt),
        "box": prompt.box,
        "mask": {"bbox": bbox, "packbits": base64.b64encode(np.packbits(mask).tobytes()).decode()},
        "restored": last_mask is not None,
        "asked": entry.fingerprint,
    }


def _from_plain(o: dict[str, Any]) -> Entry:
    size = (int(o["size"][0]), int(o["size"][1]))
    mask = packed_mask(o["mask"], size) if o["mask"]["bbox"][2] else None
    xy, labels = point_arrays(o["points"])
    box = tuple(map(float, o["box"])) if o["box"] else None
    if o["restored"]:
        prompt = Prompt(object_id=int(o["id"]), kind="restore", mask=mask)
    else:
        prompt = Prompt(object_id=int(o["id"]), xy=xy, labels=labels, box=box, mask=mask)  # type: ignore[arg-type]
    return Entry(prompt, size, fingerprint=list(o["asked"]))
