"""The methods about frames of the past: prompts on the frame that was seen, holding it, another candidate of a prompt.

The tracker alone knows which frames are there, so their replies come when it has answered.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from stream.commands import ChooseCandidate, HoldFrame, ReleaseFrame
from stream.errors import ControlError
from stream.messages import FrameRef, Prompt
from stream.supervision.requests.call import Call, Method

HELD_S = 30  # as long as the tracker pins a frame (nodes/tracker/past_frames.py)
CHOICE_S = 30.0  # a large model on a slow CPU takes that long for a mask
MAX_CANDIDATE = 99


def names_a_frame(call: Call) -> bool:
    """Whether a prompt acts on a frame of the past: one that it names, or the one that its candidates are of."""
    return call.params.get("frame") is not None or call.params.get("candidate") is not None


def add_on_frame(call: Call, fields: dict[str, Any]) -> None:
    """Follow a new object, given by the fields of a Prompt and its label, from a frame of the past on."""
    _check_tracker(call)
    objects = call.session.objects
    object_id, frame, candidate = objects.registry.next_id, _frame(call), _candidate(call)

    def take_back() -> None:
        if object_id in objects.registry.entries:
            objects.remove(object_id)

    request = _wait(call, take_back, object_id=object_id)
    with call.no_reply_on_error(request):
        objects.add(request=request, frame=frame, candidate=candidate, **fields)


def refine_on_frame(call: Call, prompt: Prompt) -> None:
    """Give more points of an object on a frame of the past."""
    _check_tracker(call)
    frame = _frame(call)
    request = _wait(call, None, object_id=prompt.object_id)
    with call.no_reply_on_error(request):
        call.session.objects.refine(replace(prompt, frame=frame), request)


def hold_frame(call: Call) -> None:
    """Keep a frame for a while, for a prompt that is still being given."""
    call.accept_only("frame")
    _check_tracker(call)
    frame = _needed_frame(call)
    call.session.objects.send_to_tracker(HoldFrame(frame=frame, request=_wait(call, None, held_s=HELD_S)))


def release_frame(call: Call) -> dict[str, Any]:
    """Keep a frame no longer."""
    call.accept_only("frame")
    call.session.objects.send_to_tracker(ReleaseFrame(frame=_needed_frame(call)))
    return {}


def choose_candidate(call: Call) -> None:
    """Take the next larger or smaller mask that an object's newest prompt may mean; the decoder answers."""
    call.accept_only("object_id", "step")
    objects, step = call.session.objects, call.params.get("step")
    objects.frame_size()  # not_ready comes first
    object_id = objects.registry.entry(call.params.get("object_id")).prompt.object_id
    if type(step) is not int or step not in (1, -1):
        raise ControlError("bad_params", "step: needs 1 for the next larger mask, or -1 for the next smaller")
    _check_tracker(call)
    call.check_tracker_has_room()
    request = call.reply_later("tracker", "the mask model has not got to it", within_s=CHOICE_S, object_id=object_id)
    objects.send_to_tracker(ChooseCandidate(object_id=object_id, step=step, request=request))


def _wait(call: Call, take_back: Any, **result: Any) -> int:
    return call.reply_later("tracker", "it is busy with a frame", take_back=take_back, **result)


def _check_tracker(call: Call) -> None:
    """Refuse while the tracker loads: it has no frames then; ControlError."""
    if not call.session.nodes["tracker"].loaded:
        raise ControlError("frame_gone", "the tracker is starting, and has no frames yet; try again")


def _needed_frame(call: Call) -> FrameRef:
    if (frame := _frame(call)) is None:
        raise ControlError("bad_params", 'frame: needs {"session", "frame_id", "epoch"}')
    return frame


def _frame(call: Call) -> FrameRef | None:
    """The frame that a request names; ControlError where that is no frame's name."""
    value = call.params.get("frame")
    if value is None:
        return None
    keys = ("session", "frame_id", "epoch")
    fits = isinstance(value, dict) and {"session", "frame_id"} <= value.keys() <= set(keys)
    if not fits or not all(type(v) is int and 0 <= v < 1 << 53 for v in value.values()):
        raise ControlError("bad_params", 'frame: needs {"session", "frame_id", "epoch"}, as in the header of its masks')
    return FrameRef(**value)


def _candidate(call: Call) -> int | None:
    value = call.params.get("candidate")
    if value is not None and (type(value) is not int or not 0 <= value <= MAX_CANDIDATE):
        raise ControlError(
            "bad_params", f"candidate: needs a whole number from 0, the smallest mask, to {MAX_CANDIDATE}"
        )
    return value


FRAME_METHODS: dict[str, Method] = {
    "hold_frame": hold_frame,
    "release_frame": release_frame,
    "choose_candidate": choose_candidate,
}
