"""The journal: the objects of a registry in a JSON file, so that they outlive the run.

Beside it lie `.last`, the one written before (for when a power cut spoils the newest), `.lock`, which the run holds,
and `.broken`, which could not be read and was set aside. In a state folder what requests have changed in the zones is
a file of its own.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from stream.crops import crop_mask
from stream.errors import ConfigError, ControlError
from stream.messages import Prompt
from stream.settings.config import Config
from stream.state.files import beside, check_version, write_whole
from stream.state.folder import VERSIONS, camera_state, objects_file, zones_file
from stream.supervision.prompt_checks import check_label, packed_mask, point_arrays, points_of
from stream.supervision.registry import Entry, Registry
from stream.supervision.zone_book import Changes

log = logging.getLogger(__name__)

NO_JOURNAL = (ValueError, KeyError, TypeError, IndexError, AttributeError, ControlError)  # what from_journal raises

T = TypeVar("T")


class Journal:
    """The file of one camera's journal, and in a state folder that of its zones."""

    def __init__(
        self, path: Path, *, zones: Path | None = None, older: Path | None = None, key: str = "supervisor.journal"
    ) -> None:
        """`older` is a journal that objects and zones are taken from where there is none yet; `key` is for messages."""
        self.path = path
        self.key = key
        self._zones = zones
        self._older = older
        self._zones_written: str | None = None
        self._lock_fd = -1

    def lock(self) -> None:
        """Keep other runs from the journal until `close`; ConfigError where one has it."""
        with contextlib.suppress(OSError):  # nothing can be written there: `save` will say so
            self._lock_fd = os.open(beside(self.path, ".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        if self._lock_fd < 0:
            return
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise ConfigError(
                f"{self.key} {self.path}: another run writes it; stop that one, or give this run another place"
            ) from None
        except OSError as error:  # a file system without locks
            log.warning("%s %s: can't be locked (%s)", self.key, self.path, error.strerror)

    def close(self) -> None:
        """Let other runs have the journal."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def load(self) -> Registry:
        """The registry in the file, or in the one written before where it is broken; empty where there is none.

        ConfigError where it can't be read, or a newer version has written it.
        """
        registry = self._read(self.path, "journal", from_journal)
        if registry is None and self._older is not None:
            registry = self._read(self._older, "journal", from_journal)
            if registry is not None:
                log.info("%s: objects and zones are taken over from %s", self.path, self._older)
        registry = registry or Registry()
        changes = None if self._zones is None else self._read(self._zones, "zones", from_zones)
        if changes is not None:
            registry = Registry(registry.entries, registry.next_id, changes)
        return registry

    def save(self, contents: str, zones: str = "") -> None:
        """Write the file, atomically and to the disk itself, and that of the zones where they have changed."""
        write_whole(self.path, contents.encode(), keep_last=True)
        if self._zones is not None and zones != self._zones_written:
            write_whole(self._zones, zones.encode(), keep_last=True)
            self._zones_written = zones

    def _read(self, path: Path, kind: str, parse: Callable[[str], T]) -> T | None:
        """What a file holds, or the one written before it where it is broken; None where there is neither."""
        for candidate in (path, beside(path, ".last")):
            try:
                contents = candidate.read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise ConfigError(
                    f"{self.key} {candidate}: can't be read ({error.strerror}); give this user the right to, or "
                    "name another file"
                ) from None
            check_version(candidate, contents, kind, VERSIONS[kind])
            try:
                return parse(contents.decode())
            except NO_JOURNAL as error:
                self._set_aside(candidate, beside(path, ".broken"), kind, error)
        return None

    def _set_aside(self, path: Path, aside: Path, kind: str, error: Exception) -> None:
        """Take a file that is none of its kind out of the way, in case somebody can still make something of it."""
        size = path.stat().st_size
        try:
            path.replace(aside)
        except OSError as reason:
            raise ConfigError(
                f"{self.key} {path}: no {kind} ({error}), and it can't be moved away ({reason.strerror}); "
                "remove the file"
            ) from None
        text = "%s %s: no %s (%d bytes; %s); it is %s now, and the one written before is used"
        log.warning(text, self.key, path, kind, size, error, aside)


def find_journal(config: Config) -> Journal | None:
    """The journal that the config names, if it names one; the host of the supervisor alone keeps it."""
    name, folder = config.supervisor.journal, camera_state(config)
    older = Path(name.replace("{camera}", config.capture.camera)) if name else None
    if not config.graph.host:
        return None
    if folder is not None:
        return Journal(objects_file(folder), zones=zones_file(folder), older=older, key="--state")
    return None if older is None else Journal(older)


def to_journal(registry: Registry, *, with_zones: bool = True) -> str:
    """The contents of the file."""
    objects = [_to_plain(object_id, entry) for object_id, entry in registry.entries.items()]
    zones = {"zones": registry.zone_changes} if registry.zone_changes and with_zones else {}
    return json.dumps({"journal": VERSIONS["journal"], "next_id": registry.next_id, "objects": objects, **zones})


def to_zones(registry: Registry) -> str:
    """The contents of the file of zones."""
    return json.dumps({"zones": VERSIONS["zones"], "changes": registry.zone_changes}, indent=1)


def from_zones(contents: str) -> Changes:
    """What the contents of a file of zones describe; what is raised where they are none varies."""
    return dict(json.loads(contents)["changes"])


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
