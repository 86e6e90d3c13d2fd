"""The journal: the objects of a registry in a JSON file, so that they outlive the run.

Beside it lie `.last`, the one written before (for when a power cut spoils the newest), `.lock`, which the run holds,
and `.broken`, which could not be read and was set aside.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from stream.crops import crop_mask
from stream.errors import ConfigError, ControlError
from stream.messages import Prompt
from stream.settings.config import Config
from stream.supervision.prompt_checks import check_label, packed_mask, point_arrays, points_of
from stream.supervision.registry import Entry, Registry

log = logging.getLogger(__name__)

NO_JOURNAL = (ValueError, KeyError, TypeError, IndexError, AttributeError, ControlError)  # what from_journal raises


class Journal:
    """The file of one camera's journal."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_fd = -1

    def lock(self) -> None:
        """Keep other runs from the journal until `close`; ConfigError where one has it."""
        with contextlib.suppress(OSError):  # nothing can be written there: `save` will say so
            self._lock_fd = os.open(self._beside(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        if self._lock_fd < 0:
            return
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise ConfigError(
                f"supervisor.journal {self.path}: another run writes it; stop that one, or give this run another file"
            ) from None
        except OSError as error:  # a file system without locks
            log.warning("supervisor.journal %s: can't be locked (%s)", self.path, error.strerror)

    def close(self) -> None:
        """Let other runs have the journal."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def load(self) -> Registry:
        """The registry in the file, or in the one written before where it is broken; empty where there is none."""
        for path in (self.path, self._beside(".last")):
            try:
                return from_journal(path.read_text())
            except FileNotFoundError:
                continue
            except OSError as error:
                raise ConfigError(
                    f"supervisor.journal {path}: can't be read ({error.strerror}); give this user the right to, or "
                    "name another file"
                ) from None
            except NO_JOURNAL as error:
                self._set_aside(path, error)
        return Registry()

    def save(self, contents: str) -> None:
        """Write the file, atomically and to the disk itself: after a power cut the old one or the new one is there."""
        part = self._beside(".part")
        with part.open("w") as file:
            file.write(contents)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            self.path.replace(self._beside(".last"))
        part.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _set_aside(self, path: Path, error: Exception) -> None:
        """Take a file that is no journal out of the way, in case somebody can still make something of it."""
        size, aside = path.stat().st_size, self._beside(".broken")
        try:
            path.replace(aside)
        except OSError as reason:
            raise ConfigError(
                f"supervisor.journal {path}: no journal ({error}), and it can't be moved away ({reason.strerror}); "
                "remove the file"
            ) from None
        text = "supervisor.journal %s: no journal (%d bytes; %s); it is %s now, and the one written before is used"
        log.warning(text, path, size, error, aside)

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)


def find_journal(config: Config) -> Journal | None:
    """The journal that the config names, if it names one; the host of the supervisor alone keeps it."""
    name = config.supervisor.journal
    if not name or not config.graph.host:
        return None
    return Journal(Path(name.replace("{camera}", config.capture.camera)))


def to_journal(registry: Registry) -> str:
    """The contents of the file."""
    objects = [_to_plain(object_id, entry) for object_id, entry in registry.entries.items()]
    zones = {"zones": registry.zone_changes} if registry.zone_changes else {}
    return json.dumps({"journal": 1, "next_id": registry.next_id, "objects": objects, **zones})


def from_journal(contents: str) -> Registry:
    """The registry that the contents of a file describe; what is raised where they are no journal varies."""
    plain = json.loads(contents)
    entries = {int(o["id"]): _from_plain(o) for o in plain["objects"]}
    return Registry(entries, int(plain["next_id"]), dict(plain.get("zones", {})))


def _to_plain(object_id: int, entry: Entry) -> dict[str, Any]:
    prompt, last_mask = entry.first_prompt, entry.last_mask
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
        "restored": last_mask is not None or prompt.kind == "restore",
        "seen_unix_ns": entry.seen_unix_ns,
        "asked": entry.fingerprint,
        "label": entry.label,
    }


def _from_plain(o: dict[str, Any]) -> Entry:
    size = (int(o["size"][0]), int(o["size"][1]))
    mask = packed_mask(o["mask"], size) if o["mask"]["bbox"][2] else None
    xy, labels = point_arrays(o["points"])
    box = tuple(map(float, o["box"])) if o["box"] else None
    seen_unix_ns = int(o.get("seen_unix_ns", 0))  # journals of before it was written have none
    if o["restored"]:
        prompt = Prompt(object_id=int(o["id"]), kind="restore", mask=mask, seen_unix_ns=seen_unix_ns)
    else:
        prompt = Prompt(object_id=int(o["id"]), xy=xy, labels=labels, box=box, mask=mask)  # type: ignore[arg-type]
    label = o.get("label", "")
    check_label(label)
    return Entry(prompt, size, fingerprint=list(o["asked"]), seen_unix_ns=seen_unix_ns, label=label)
