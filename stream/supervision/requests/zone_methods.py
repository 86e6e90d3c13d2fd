"""The methods about zones and lines: list, set, remove."""

from __future__ import annotations

from typing import Any

from stream.errors import ControlError
from stream.supervision.requests.call import Call, Method

KINDS = ("polygon", "line")
OPTIONS = ("inside", "share", "dwell_s", "crossed_by")


def list_zones(call: Call) -> dict[str, Any]:
    """All of them."""
    call.accept_only()
    return call.session.zones.describe()


def set_zone(call: Call) -> dict[str, Any]:
    """Draw a zone or a line, or draw it anew."""
    call.accept_only("name", *KINDS, *OPTIONS)
    kinds = [kind for kind in KINDS if kind in call.params]
    if len(kinds) != 1:
        raise ControlError("bad_params", "needs either polygon or line, a list of points [x, y]")
    values = {"points": call.params[kinds[0]], **{o: call.params[o] for o in OPTIONS if o in call.params}}
    call.session.set_zone(_name(call), kinds[0], values)
    return {"name": call.params["name"]}


def remove_zone(call: Call) -> dict[str, Any]:
    """Take a zone or a line away."""
    call.accept_only("name")
    call.session.remove_zone(_name(call))
    return {"name": call.params["name"]}


def _name(call: Call) -> str:
    name: Any = call.params.get("name")
    if not isinstance(name, str):
        raise ControlError("bad_params", "name: needs the name of a zone or a line")
    return name


ZONE_METHODS: dict[str, Method] = {"list_zones": list_zones, "set_zone": set_zone, "remove_zone": remove_zone}
