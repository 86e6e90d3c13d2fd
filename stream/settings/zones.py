"""Zones and lines of a camera, as a config and a request name them: points, and what counts as being inside."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from stream.settings.section import Section

MOST = 64  # zones and lines of a camera
NAME = r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,63}$"

Name = Annotated[str, Meta(pattern=NAME, description="1 to 64 characters out of A-Z a-z 0-9 . _ - and space")]
Coordinate = Annotated[float, Meta(ge=-65535, le=65535)]
Point = tuple[Coordinate, Coordinate]
Measure = Literal["share", "foot", "any"]


class Polygon(Section, frozen=True):
    """A part of the picture that objects enter and leave."""

    points: Annotated[tuple[Point, ...], Meta(min_length=3, max_length=64)]
    # when an object is inside: so much of its mask is, the middle of its lowest 2 % is, or any of its pixels is
    inside: Measure = "share"
    share: Annotated[float, Meta(gt=0, le=1)] = 0.5
    dwell_s: Annotated[float, Meta(ge=0)] = 0.0  # tell once when an object stays for longer; 0: never


class Line(Section, frozen=True):
    """A line that objects cross, from its first point to its second."""

    points: Annotated[tuple[Point, ...], Meta(min_length=2, max_length=2)]
    # what has to be across: half of the mask, the middle of its lowest 2 %, or any of its pixels
    crossed_by: Measure = "foot"


class Zones(Section, frozen=True):
    """What events are told about (docs/zones.md)."""

    polygons: dict[Name, Polygon] = {}
    lines: dict[Name, Line] = {}
    unit: Literal["fraction", "px"] = "fraction"  # of the points: of the frame's width and height, or its px
    # how far beyond a border an object has to go back before it counts as having left: a share of the frame's diagonal
    margin: Annotated[float, Meta(ge=0, le=0.2)] = 0.01
    # a change counts once it has been seen on so many frames in a row: one that is wrong makes no event
    settle_frames: Annotated[int, Meta(ge=1, le=100)] = 2
    lost_s: Annotated[float, Meta(ge=0)] = 3.0  # an object out of sight for longer has left
