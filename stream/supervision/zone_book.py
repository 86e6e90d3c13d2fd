"""The zones of a camera while it runs: those of the config, and what requests have changed since."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from stream.errors import ControlError
from stream.settings.zones import MOST, Line, Polygon, Zones

Changes = dict[str, dict[str, Any] | None]  # name -> {"polygon" or "line": its plain values}; None: removed


class ZoneBook:
    """Zones and lines by name; no name is both."""

    def __init__(self, zones: Zones, changes: Changes) -> None:
        """`changes` is written to as requests come: it belongs to what outlives the run. Broken ones are left out."""
        self._zones = zones
        self._changes = changes
        self.changed = False  # since the config
        for name, plain in list(changes.items()):
            try:
                self._lay(name, plain)
            except (msgspec.ValidationError, KeyError, TypeError):
                del changes[name]

    @property
    def zones(self) -> Zones:
        """All of them, as of now."""
        return self._zones

    def describe(self) -> dict[str, Any]:
        """All of them as plain values, for a reply."""
        plain: dict[str, Any] = msgspec.to_builtins(self._zones)
        return plain

    def put(self, name: str, kind: str, values: dict[str, Any]) -> None:
        """Draw a zone (`kind` "polygon") or a line, or draw it anew; ControlError where it is none."""
        there = {**self._zones.polygons, **self._zones.lines}
        if name not in there and len(there) >= MOST:
            raise ControlError("bad_params", f"there are {MOST} zones and lines, which is the most; remove one first")
        plain = {kind: values}
        try:
            self._lay(name, plain)
        except msgspec.ValidationError as error:
            raise ControlError("bad_params", f"{kind} {name[:40]!r}: {str(error)[:200]}") from None
        self._changes[name] = plain

    def remove(self, name: str) -> None:
        """Take a zone or a line away; ControlError where there is none of that name."""
        if name not in self._zones.polygons and name not in self._zones.lines:
            raise ControlError("bad_params", f"name: there is no zone or line {name[:40]!r}")
        self._lay(name, None)
        self._changes[name] = None

    def _lay(self, name: str, plain: dict[str, Any] | None) -> None:
        polygons = {n: p for n, p in self._zones.polygons.items() if n != name}
        lines = {n: line for n, line in self._zones.lines.items() if n != name}
        if plain is not None and "polygon" in plain:
            polygons[name] = msgspec.convert(plain["polygon"], Polygon)
        elif plain is not None:
            lines[name] = msgspec.convert(plain["line"], Line)
        changed = replace(self._zones, polygons=polygons, lines=lines)
        self._zones = msgspec.convert(msgspec.to_builtins(changed), Zones)  # the name is checked, too
        self.changed = True
