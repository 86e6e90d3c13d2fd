"""The core: the masks of a frame and its time in, what objects did on it out. Nothing here knows sockets or a clock."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from nodes.publisher.zones.crossings import LineCrossing, Side
from nodes.publisher.zones.regions import Region
from stream.messages import Masks, ObjectMask, State
from stream.public_wire.events import Event, Kind, LineCounts, ZoneCounts
from stream.settings.zones import Zones

Point = tuple[float, float]


@dataclass
class _Followed:
    """What is remembered of an object."""

    state: State
    label: str
    seen_s: float  # when it was last in sight
    inside: dict[str, float] = field(default_factory=dict)  # polygon -> since when, s
    dwelled: set[str] = field(default_factory=set)  # polygons whose dwell was told
    sides: dict[str, Side] = field(default_factory=dict)  # by line
    changing: dict[str, int] = field(default_factory=dict)  # zone or line -> frames in a row that say otherwise
    appeared: bool = False
    looked: bool = False  # at zones and lines: what is inside from its first frame on enters at once


class ZoneEvents:
    """What the objects of one camera do."""

    def __init__(self, zones: Zones) -> None:
        self._zones = zones
        self._size: tuple[int, int] | None = None  # that regions and lines were made for
        self._regions: dict[str, Region] = {}
        self._lines: dict[str, LineCrossing] = {}
        self._followed: dict[int, _Followed] = {}
        self._entered: dict[str, int] = {}
        self._left: dict[str, int] = {}
        self._crossed: dict[str, list[int]] = {}  # line -> [to the right, to the left]

    def set_zones(self, zones: Zones) -> None:
        """Other zones from now on. What is the same stays; nobody is told of who was in a zone that is gone."""
        old, self._zones, self._size = self._zones, zones, None
        for name, polygon in old.polygons.items():
            if zones.polygons.get(name) != polygon:
                for followed in self._followed.values():
                    followed.inside.pop(name, None)
                    followed.changing.pop(name, None)
                    followed.dwelled.discard(name)
                for counts in (self._entered, self._left):
                    counts.pop(name, None)
        for name, line in old.lines.items():
            if zones.lines.get(name) != line:
                for followed in self._followed.values():
                    followed.sides.pop(name, None)
                    followed.changing.pop(name, None)
                self._crossed.pop(name, None)

    def step(self, masks: Masks, now_s: float) -> list[Event]:
        """What happened on a frame, which is shown at `now_s`."""
        if masks.size != self._size:
            self._resize(masks.size)
        events: list[Event] = []
        for o in masks.objects:
            events += self._step_object(o, now_s)
        alive = {o.object_id for o in masks.objects}
        for object_id in [i for i in self._followed if i not in alive]:
            gone = self._followed[object_id]
            events += self._leave_all(object_id, gone, now_s, "removed")
            if gone.appeared:
                events.append(Event(kind="removed", object_id=object_id, state=gone.state, label=gone.label))
            del self._followed[object_id]
        return events

    def counts(self) -> tuple[dict[str, ZoneCounts], dict[str, LineCounts]]:
        """Every polygon and line as it is now."""
        zones = {
            name: ZoneCounts(
                inside=[i for i, f in self._followed.items() if name in f.inside],
                entered=self._entered.get(name, 0),
                left=self._left.get(name, 0),
            )
            for name in self._zones.polygons
        }
        crossed = {name: self._crossed.get(name, [0, 0]) for name in self._zones.lines}
        return zones, {name: LineCounts(to_right=right, to_left=left) for name, (right, left) in crossed.items()}

    # --- one object ---

    def _step_object(self, o: ObjectMask, now_s: float) -> Iterable[Event]:
        followed = self._followed.get(o.object_id)
        if followed is None:
            followed = self._followed[o.object_id] = _Followed(o.state, o.label, now_s)
        followed.label = o.label
        in_sight = o.area > 0 and o.state != "lost"
        if in_sight and not followed.appeared:
            followed.appeared, followed.state = True, o.state
            yield Event(kind="appeared", object_id=o.object_id, state=o.state, label=o.label)
        yield from self._state_events(o, followed)
        if not in_sight:
            if now_s - followed.seen_s >= self._zones.lost_s:
                followed.sides.clear()
                followed.changing.clear()
                followed.looked = False
                yield from self._leave_all(o.object_id, followed, now_s, "lost")
            return
        followed.seen_s = now_s
        yield from self._polygon_events(o, followed, now_s)
        yield from self._line_events(o, followed)
        followed.looked = True

    def _state_events(self, o: ObjectMask, followed: _Followed) -> Iterable[Event]:
        before, followed.state = followed.state, o.state
        if o.state == before or not followed.appeared:
            return
        if o.state == "lost" or o.state == "reacquired":
            yield Event(kind=o.state, object_id=o.object_id, state=o.state, label=o.label, reason=o.reason)
        else:
            yield Event(kind="state", object_id=o.object_id, state=o.state, label=o.label, before=before)

    def _polygon_events(self, o: ObjectMask, followed: _Followed, now_s: float) -> Iterable[Event]:
        for name, region in self._regions.items():
            since_s = followed.inside.get(name)
            holds = region.holds(o, was_inside=since_s is not None)
            if not self._settled(followed, name, changes=holds != (since_s is not None)):
                holds = since_s is not None
            if holds and since_s is None:
                followed.inside[name] = now_s
                self._entered[name] = self._entered.get(name, 0) + 1
                yield self._zone_event("enter", o.object_id, followed, name)
            elif not holds and since_s is not None:
                yield self._leave(o.object_id, followed, name, now_s)
            dwell_s = self._zones.polygons[name].dwell_s
            if holds and dwell_s and name not in followed.dwelled:
                inside_s = now_s - followed.inside[name]
                if inside_s > dwell_s:
                    followed.dwelled.add(name)
                    yield self._zone_event("dwell", o.object_id, followed, name, inside_s=round(inside_s, 3))

    def _line_events(self, o: ObjectMask, followed: _Followed) -> Iterable[Event]:
        for name, line in self._lines.items():
            before = followed.sides.get(name)
            side, crossed = line.step(o, before)
            if not self._settled(followed, name, changes=before is not None and side.side != before.side):
                continue
            followed.sides[name] = side
            if crossed:
                counts = self._crossed.setdefault(name, [0, 0])
                counts[crossed < 0] += 1
                yield Event(
                    kind="crossing",
                    object_id=o.object_id,
                    state=o.state,
                    label=o.label,
                    line=name,
                    direction="to_right" if crossed > 0 else "to_left",
                    count=counts[crossed < 0],
                )

    def _settled(self, followed: _Followed, name: str, *, changes: bool) -> bool:
        """Whether a change at a zone or a line counts: it has been seen on enough frames. What stays counts at once."""
        if not changes or not followed.looked:
            followed.changing.pop(name, None)
            return True
        followed.changing[name] = followed.changing.get(name, 0) + 1
        if followed.changing[name] < self._zones.settle_frames:
            return False
        del followed.changing[name]
        return True

    def _leave_all(self, object_id: int, followed: _Followed, now_s: float, reason: str) -> list[Event]:
        return [self._leave(object_id, followed, name, now_s, reason) for name in list(followed.inside)]

    def _leave(self, object_id: int, followed: _Followed, name: str, now_s: float, reason: str = "") -> Event:
        since_s = followed.inside.pop(name)
        followed.dwelled.discard(name)
        self._left[name] = self._left.get(name, 0) + 1
        inside_s = round(now_s - since_s, 3)
        return self._zone_event("leave", object_id, followed, name, inside_s=inside_s, reason=reason)

    def _zone_event(
        self,
        kind: Kind,
        object_id: int,
        followed: _Followed,
        name: str,
        *,
        inside_s: float | None = None,
        reason: str = "",
    ) -> Event:
        return Event(
            kind=kind,
            object_id=object_id,
            state=followed.state,
            label=followed.label,
            zone=name,
            count=sum(name in f.inside for f in self._followed.values()),
            inside_s=inside_s,
            reason=reason,
        )

    # --- geometry ---

    def _resize(self, size: tuple[int, int]) -> None:
        """Frames are of this (height, width) from now on."""
        if self._size is not None:  # where objects were in px means nothing any more
            for followed in self._followed.values():
                followed.sides.clear()
        self._size = size
        zones, margin_px = self._zones, self._zones.margin * math.hypot(*size)
        self._regions = {
            name: Region(p, self._to_px(p.points, size), size, margin_px) for name, p in zones.polygons.items()
        }
        self._lines = {
            name: LineCrossing(line, self._to_px(line.points, size), margin_px) for name, line in zones.lines.items()
        }

    def _to_px(self, points: Sequence[Point], size: tuple[int, int]) -> list[Point]:
        """Points of the config in px: the fractions 0 and 1 are the outer edges of the first and the last pixel."""
        if self._zones.unit == "px":
            return list(points)
        return [(x * size[1] - 0.5, y * size[0] - 0.5) for x, y in points]
