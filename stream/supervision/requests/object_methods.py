"""The methods about objects: add, refine, undo, rename, remove, find, list."""

from __future__ import annotations

from typing import Any

from stream.errors import ControlError
from stream.messages import Prompt
from stream.supervision.prompt_checks import MAX_POINTS, packed_mask, point_arrays
from stream.supervision.requests.call import Call, Method
from stream.supervision.requests.frame_methods import add_on_frame, names_a_frame, refine_on_frame

MAX_FOUND = 1000  # new objects that one request may ask for


def add_object(call: Call) -> dict[str, Any] | None:
    """Follow a new object, from the newest frame on, or from an older one that was seen."""
    call.accept_only("points", "box", "mask", "label", "frame", "candidate")
    params, objects = call.params, call.session.objects
    size = objects.frame_size()
    call.check_tracker_has_room()
    xy, labels = point_arrays(params.get("points"))
    mask = packed_mask(params["mask"], size) if params.get("mask") is not None else None
    fields: dict[str, Any] = {"xy": xy, "labels": labels, "box": _box(params.get("box")), "mask": mask}
    fields["label"] = params.get("label", "")
    if names_a_frame(call):
        add_on_frame(call, fields)
        return None
    return {"object_id": objects.add(**fields)}


def refine_object(call: Call) -> dict[str, Any] | None:
    """Give more points of an object."""
    call.accept_only("object_id", "points", "frame")
    objects = call.session.objects
    objects.frame_size()  # not_ready comes first
    call.check_tracker_has_room()
    object_id = objects.registry.entry(call.params.get("object_id")).prompt.object_id
    xy, labels = point_arrays(call.params.get("points"))
    if xy is None:
        raise ControlError("bad_params", f"points: needs 1 to {MAX_POINTS} points [x, y, label]")
    prompt = Prompt(object_id=object_id, kind="refine", xy=xy, labels=labels)
    if names_a_frame(call):
        refine_on_frame(call, prompt)
        return None
    objects.refine(prompt)
    return {"object_id": object_id}


def remove_object(call: Call) -> dict[str, Any]:
    """Follow an object no longer."""
    call.accept_only("object_id")
    object_id: Any = call.params.get("object_id")
    call.session.objects.remove(object_id)
    return {"object_id": object_id}


def undo_point(call: Call) -> None:
    """Take back the newest points of an object; the tracker answers."""
    call.accept_only("object_id")
    objects = call.session.objects
    object_id = objects.registry.entry(call.params.get("object_id")).prompt.object_id
    call.check_tracker_has_room()
    request = call.reply_later("tracker", "it is being restarted, or busy with a frame", object_id=object_id)
    objects.undo(object_id, request)


def find_objects(call: Call) -> dict[str, Any]:
    """Look for objects that nobody has pointed at; they are followed as they are found."""
    call.accept_only("count")
    count: Any = call.params.get("count")
    if type(count) is not int or not 1 <= count <= MAX_FOUND:
        raise ControlError("bad_params", f"count: needs a whole number from 1 to {MAX_FOUND}")
    return {"count": call.session.objects.find(count)}


def rename_object(call: Call) -> dict[str, Any]:
    """Call an object something."""
    call.accept_only("object_id", "label")
    object_id: Any = call.params.get("object_id")
    label: Any = call.params.get("label")
    call.session.objects.rename(object_id, label)
    return {"object_id": object_id, "label": label}


def list_objects(call: Call) -> dict[str, Any]:
    """Every object, as it was published last."""
    call.accept_only()
    return {"objects": call.session.registry.list_objects()}


def _box(value: Any) -> tuple[float, float, float, float] | None:
    if value is None:
        return None
    numbers = isinstance(value, list) and len(value) == 4 and all(type(v) in (int, float) for v in value)
    if not numbers or not all(abs(v) < 1e6 for v in value):
        raise ControlError("bad_params", "box: needs [x1, y1, x2, y2]")
    x1, y1, x2, y2 = map(float, value)
    return x1, y1, x2, y2


OBJECT_METHODS: dict[str, Method] = {
    "add_object": add_object,
    "refine_object": refine_object,
    "undo_point": undo_point,
    "rename_object": rename_object,
    "remove_object": remove_object,
    "find_objects": find_objects,
    "list_objects": list_objects,
}
