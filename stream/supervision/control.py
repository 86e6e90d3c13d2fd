"""Contract 3: one JSON request in, exactly one JSON reply out. Each method is a function of `RequestHandler`.

The handler acts on the session; replies go to the same outbox as the session's commands.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from stream.errors import ControlError, MessageError, nearest
from stream.messages import Prompt
from stream.reports import Answer
from stream.supervision.actions import Outbox, SendReply
from stream.supervision.prompt_checks import MAX_POINTS, packed_mask, point_arrays
from stream.supervision.request_limits import RequestLimits
from stream.supervision.session import Session
from stream.supervision.snapshots import TIMEOUT_S, SnapshotRequest, Snapshots
from stream.transport.wire import from_json, to_json

log = logging.getLogger(__name__)

Params = dict[str, Any]

MAX_ID_CHARACTERS = 128  # it comes back with the reply, and may have to be kept until then
MAX_WAITING_PROMPTS = 100  # that the tracker has not taken yet; a queue that is full would lose the oldest
MAX_WAITING_SNAPSHOTS = 64


class RequestHandler:
    """Takes requests of clients, acts on the session, replies."""

    def __init__(
        self,
        session: Session,
        outbox: Outbox,
        summary: Callable[[], dict[str, Any]],
        waiting_prompts: Callable[[], int] = lambda: 0,
    ) -> None:
        """`waiting_prompts`: how many commands the tracker has not taken yet."""
        self.session = session
        self.snapshots = Snapshots()
        self.malformed = 0
        self.methods: dict[str, Callable[[Params, float], dict[str, Any]]] = {
            "add_object": self._add_object,
            "refine_object": self._refine_object,
            "remove_object": self._remove_object,
            "list_objects": lambda params, now_s: {"objects": self.session.registry.list_objects()},
            "pause": lambda params, now_s: self._pause(True),
            "resume": lambda params, now_s: self._pause(False),
            "stats": lambda params, now_s: summary(),
            "shutdown": self._shut_down,
        }
        self._outbox = outbox
        self._waiting_prompts = waiting_prompts
        control = session.config.control
        self._limits = RequestLimits(control.request_burst, control.requests_per_s)

    @property
    def refused(self) -> int:
        """Requests that came too often."""
        return self._limits.refused

    def serve(self, address: tuple[bytes, ...], parts: list[bytes], now_s: float) -> None:
        """Reply to the request in `parts`: at once, or (a snapshot) when the renderer has answered."""
        request_id: Any = None
        try:
            request = _read(parts)
            request_id = request["id"]
            self._check_rate(address[0], now_s)
            method, params = self._method(request)
            if method == "snapshot":
                self._take_snapshot(address, request_id, now_s)
                return
            body = {"id": request_id, "result": self.methods[method](params, now_s)}
        except MessageError as error:
            self.malformed += 1
            log.debug("control: %s", error)
            body = _refusal(request_id, "bad_request", str(error))
        except ControlError as error:
            body = _refusal(request_id, error.code, str(error))
        except Exception as error:
            log.exception("control: a request failed")
            body = _refusal(request_id, "internal", f"{type(error).__name__}: {error}")
        self._reply(address, body)

    def on_answer(self, answer: Answer) -> None:
        """The renderer has written a snapshot, or says why not."""
        if (request := self.snapshots.take(answer.request)) is None:
            return
        if answer.error:
            self._refuse(request, "internal", answer.error)
        else:
            self._reply(request.address, {"id": request.request_id, "result": answer.result})

    def on_tick(self, now_s: float) -> None:
        """Refuse the snapshots that the renderer has not written in time."""
        for request in self.snapshots.take_expired(now_s):
            self._refuse(request, "timeout", f"no answer from the renderer within {TIMEOUT_S:g} s: no frame came")

    def on_end(self) -> None:
        """The run is over: refuse the snapshots that still wait."""
        for request in self.snapshots.take_all():
            self._refuse(request, "internal", "the run ends before a frame came")

    def _check_rate(self, client: bytes, now_s: float) -> None:
        if self._limits.take(client, now_s):
            return
        control = self.session.config.control
        log.warning(
            "a client sends more than %g requests a second; %d were refused so far",
            control.requests_per_s,
            self._limits.refused,
            extra={"once_key": "too many requests"},
        )
        raise ControlError(
            "too_many_requests",
            f"more than {control.request_burst} requests came; send at most {control.requests_per_s:g} a second",
        )

    def _check_waiting(self) -> None:
        if (waiting := self._waiting_prompts()) >= MAX_WAITING_PROMPTS:
            raise ControlError("busy", f"{waiting} prompts wait for the tracker; try again when it has taken them")

    def _method(self, request: dict[str, Any]) -> tuple[str, Params]:
        method, params = request.get("method"), request.get("params")
        if not isinstance(method, str) or (method not in self.methods and method != "snapshot"):
            suggestion = nearest(str(method)[:40], [*self.methods, "snapshot"])
            raise ControlError("unknown_method", f"no method {str(method)[:40]!r}; {suggestion}")
        if params is not None and not isinstance(params, dict):
            raise ControlError("bad_params", "params: needs an object")
        return method, params or {}

    def _add_object(self, params: Params, now_s: float) -> dict[str, Any]:
        _only(params, "points", "box", "mask")
        size = self.session.frame_size()
        self._check_waiting()
        xy, labels = point_arrays(params.get("points"))
        mask = packed_mask(params["mask"], size) if params.get("mask") else None
        object_id = self.session.add_object(now_s, xy=xy, labels=labels, box=_box(params.get("box")), mask=mask)
        return {"object_id": object_id}

    def _refine_object(self, params: Params, now_s: float) -> dict[str, Any]:
        _only(params, "object_id", "points")
        self.session.frame_size()  # not_ready comes first
        self._check_waiting()
        entry = self.session.registry.entry(params.get("object_id"))
        xy, labels = point_arrays(params.get("points"))
        if xy is None:
            raise ControlError("bad_params", f"points: needs 1 to {MAX_POINTS} points [x, y, label]")
        prompt = Prompt(object_id=entry.prompt.object_id, kind="refine", xy=xy, labels=labels)
        self.session.refine_object(prompt, now_s)
        return {"object_id": prompt.object_id}

    def _remove_object(self, params: Params, now_s: float) -> dict[str, Any]:
        _only(params, "object_id")
        object_id: Any = params.get("object_id")
        self.session.remove_object(object_id, now_s)
        return {"object_id": object_id}

    def _pause(self, on: bool) -> dict[str, Any]:
        if on:
            self.session.pause()
        else:
            self.session.resume()
        return {"paused": on}

    def _shut_down(self, params: Params, now_s: float) -> dict[str, Any]:
        self.session.end_run()  # the reply goes out all the same: the loop carries out the whole outbox first
        return {}

    def _take_snapshot(self, address: tuple[bytes, ...], request_id: Any, now_s: float) -> None:
        self.session.frame_size()
        if self.snapshots.waiting >= MAX_WAITING_SNAPSHOTS:
            raise ControlError("busy", f"{self.snapshots.waiting} snapshots wait for the renderer; try again later")
        self.session.take_snapshot(self.snapshots.add(address, request_id, now_s))

    def _refuse(self, request: SnapshotRequest, code: str, message: str) -> None:
        self._reply(request.address, _refusal(request.request_id, code, message))

    def _reply(self, address: tuple[bytes, ...], body: dict[str, Any]) -> None:
        self._outbox.put(SendReply(address, to_json(body)))


def _read(parts: list[bytes]) -> dict[str, Any]:
    if len(parts) != 1:
        raise MessageError(f"{len(parts)} parts came; a request is one part of JSON")
    request = from_json(parts[0])
    if not isinstance(request, dict) or type(request.get("id")) not in (str, int, float):
        raise MessageError('a request is {"id": text or number, "method": ..., "params": {...}}')
    if len(str(request["id"])) > MAX_ID_CHARACTERS:
        raise MessageError(f"the id has {len(str(request['id']))} characters; at most {MAX_ID_CHARACTERS} are taken")
    return request


def _refusal(request_id: Any, code: str, message: str) -> dict[str, Any]:
    return {"id": request_id, "error": {"code": code, "message": message}}


def _only(params: Params, *keys: str) -> None:
    for key in params:
        if key not in keys:
            raise ControlError("bad_params", f"params: unknown key {key[:40]!r}; {nearest(key[:40], keys)}")


def _box(value: Any) -> tuple[float, float, float, float] | None:
    if value is None:
        return None
    numbers = isinstance(value, list) and len(value) == 4 and all(type(v) in (int, float) for v in value)
    if not numbers or not all(abs(v) < 1e6 for v in value):
        raise ControlError("bad_params", "box: needs [x1, y1, x2, y2]")
    x1, y1, x2, y2 = map(float, value)
    return x1, y1, x2, y2
