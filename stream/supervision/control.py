"""Contract 3: one JSON request in, exactly one JSON reply out.

The methods are functions in `requests/`: those that act on the session of the camera that a request names, whose
replies go to the same outbox as the session's commands; and those that act on the run as a whole.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from stream.errors import ControlError, MessageError, nearest
from stream.reports import Answer
from stream.settings.config import Control
from stream.supervision.actions import Outbox, SendReply
from stream.supervision.requests.call import Call, Method, MethodContext
from stream.supervision.requests.camera_methods import CAMERA_METHODS
from stream.supervision.requests.frame_methods import FRAME_METHODS
from stream.supervision.requests.limits import RequestLimits
from stream.supervision.requests.object_methods import OBJECT_METHODS
from stream.supervision.requests.run_call import RunCall, ServedRun
from stream.supervision.requests.run_methods import RUN_METHODS
from stream.supervision.requests.waiting import WaitingRequest, WaitingRequests
from stream.supervision.requests.zone_methods import ZONE_METHODS
from stream.supervision.session import Session
from stream.transport.wire import from_json, to_json

log = logging.getLogger(__name__)

METHODS: dict[str, Method] = {**OBJECT_METHODS, **FRAME_METHODS, **CAMERA_METHODS, **ZONE_METHODS}
MAX_ID_CHARACTERS = 128  # it comes back with the reply, and may have to be kept until then


class CameraRequests:
    """What clients ask of one camera: served at once, or when the node that is waited for has answered."""

    def __init__(
        self,
        session: Session,
        outbox: Outbox,
        summary: Callable[[], dict[str, Any]],
        waiting_prompts: Callable[[], int] = lambda: 0,
    ) -> None:
        """`waiting_prompts`: how many commands the tracker has not taken yet."""
        self._waiting = WaitingRequests()
        self._context = MethodContext(session, summary, waiting_prompts, self._waiting)
        self._outbox = outbox

    def call(self, method: str, call: RunCall) -> dict[str, Any] | None:
        """The result of a method; None where the reply comes later. ControlError where it is refused."""
        return METHODS[method](Call(self._context, call.address, call.request_id, call.params, call.now_s))

    def on_answer(self, answer: Answer) -> None:
        """A node has done what a request asked for, or says why not."""
        if (request := self._waiting.take(answer.request)) is None:
            return
        if answer.error:
            self._refuse(request, answer.code, answer.error)
        else:
            self._reply(request.address, {"id": request.request_id, "result": {**request.result, **answer.result}})

    def on_tick(self, now_s: float) -> None:
        """Refuse the requests that their node has not answered in time."""
        for request in self._waiting.take_expired(now_s):
            text = f"no answer from the {request.node} within {request.within_s:g} s: {request.late_because}"
            self._refuse(request, "timeout", text)

    def on_end(self) -> None:
        """The run is over: refuse the requests that still wait."""
        for request in self._waiting.take_all():
            self._refuse(request, "internal", f"the run ends before the {request.node} has answered")

    def _refuse(self, request: WaitingRequest, code: str, message: str) -> None:
        if request.take_back is not None:
            request.take_back()
        self._reply(request.address, _refusal(request.request_id, code, message))

    def _reply(self, address: tuple[bytes, ...], body: dict[str, Any]) -> None:
        self._outbox.put(SendReply(address, to_json(body)))


class RequestHandler:
    """Takes requests of clients, has them served by the camera that they name, or by the run, and replies."""

    def __init__(self, run: ServedRun, outbox: Outbox, config: Control) -> None:
        self.malformed = 0
        self._run = run
        self._outbox = outbox
        self._config = config
        self._limits = RequestLimits(config.request_burst, config.requests_per_s)

    @property
    def refused(self) -> int:
        """Requests that came too often."""
        return self._limits.refused

    def serve(self, address: tuple[bytes, ...], parts: list[bytes], now_s: float) -> None:
        """Reply to the request in `parts`: at once, or when the node that it waits for has answered."""
        request_id: Any = None
        try:
            request = _read(parts)
            request_id = request["id"]
            self._check_rate(address[0], now_s)
            method, params = _method(request)
            result = self._call(method, RunCall(self._run, address, request_id, params, now_s))
            if result is None:
                return
            body = {"id": request_id, "result": result}
        except MessageError as error:
            self.malformed += 1
            log.debug("control: %s", error)
            body = _refusal(request_id, "bad_request", str(error))
        except ControlError as error:
            body = _refusal(request_id, error.code, str(error))
        except Exception as error:
            log.exception("control: a request failed")
            body = _refusal(request_id, "internal", f"{type(error).__name__}: {error}")
        self._outbox.put(SendReply(address, to_json(body)))

    def _call(self, method: str, call: RunCall) -> dict[str, Any] | None:
        """Have a method served by whom it is about."""
        if method in RUN_METHODS:
            return RUN_METHODS[method](call)
        requests: CameraRequests = call.take_camera().requests
        return requests.call(method, call)

    def _check_rate(self, client: bytes, now_s: float) -> None:
        if self._limits.take(client, now_s):
            return
        log.warning(
            "a client sends more than %g requests a second; %d were refused so far",
            self._config.requests_per_s,
            self._limits.refused,
            extra={"once_key": "too many requests"},
        )
        burst, per_s = self._config.request_burst, self._config.requests_per_s
        raise ControlError("too_many_requests", f"more than {burst} requests came; send at most {per_s:g} a second")


def _read(parts: list[bytes]) -> dict[str, Any]:
    if len(parts) != 1:
        raise MessageError(f"{len(parts)} parts came; a request is one part of JSON")
    request = from_json(parts[0])
    if not isinstance(request, dict) or type(request.get("id")) not in (str, int, float):
        raise MessageError('a request is {"id": text or number, "method": ..., "params": {...}}')
    if len(str(request["id"])) > MAX_ID_CHARACTERS:
        raise MessageError(f"the id has {len(str(request['id']))} characters; at most {MAX_ID_CHARACTERS} are taken")
    return request


def _method(request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    name, params = request.get("method"), request.get("params")
    methods = {**METHODS, **RUN_METHODS}
    if not isinstance(name, str) or name not in methods:
        raise ControlError("unknown_method", f"no method {str(name)[:40]!r}; {nearest(str(name)[:40], methods)}")
    if params is not None and not isinstance(params, dict):
        raise ControlError("bad_params", "params: needs an object")
    return name, dict(params or {})


def _refusal(request_id: Any, code: str, message: str) -> dict[str, Any]:
    return {"id": request_id, "error": {"code": code, "message": message}}
