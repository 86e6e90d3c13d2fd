"""Contract 3: one JSON request in, exactly one JSON reply out. Each method is a function of `RequestHandler`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from stream.errors import ControlError, MessageError, nearest
from stream.messages import Prompt
from stream.reports import Found
from stream.supervision.registry import MAX_POINTS, Registry, check_prompt, packed_mask, point_arrays
from stream.wire import from_json, to_json

log = logging.getLogger(__name__)

Answer = Callable[[dict[str, Any]], None]  # sends the one reply


class Graph(Protocol):
    """What control may ask of the running graph."""

    registry: Registry

    def prompt(self, prompt: Prompt) -> None: ...
    def remove(self, object_id: int) -> None: ...
    def pause(self, on: bool) -> None: ...
    def snapshot(self, answer: Callable[[dict[str, str], str], None]) -> None: ...
    def summary(self) -> dict[str, Any]: ...
    def shut_down(self) -> None: ...


class RequestHandler:
    """Takes requests, asks the graph, sends replies."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.malformed = 0
        self.methods: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
            "add_object": self._add_object,
            "refine_object": self._refine_object,
            "remove_object": self._remove_object,
            "list_objects": lambda params: {"objects": self.graph.registry.listed()},
            "pause": lambda params: self._pause(True),
            "resume": lambda params: self._pause(False),
            "stats": lambda params: self.graph.summary(),
            "shutdown": self._shutdown,
        }

    def serve(self, parts: list[bytes], reply: Callable[[bytes], None]) -> None:
        """Answer the request in `parts` through `reply`, now or (a snapshot) once the graph has answered."""
        request_id: Any = None
        try:
            request = self._read(parts)
            request_id = request["id"]
            method, params = self._method(request)
            if method == "snapshot":
                self._snapshot(params, request_id, reply)
                return
            body = {"id": request_id, "result": self.methods[method](params)}
        except MessageError as error:
            self.malformed += 1
            log.debug("control: %s", error)
            body = _refusal(request_id, "bad_request", str(error))
        except ControlError as error:
            body = _refusal(request_id, error.code, str(error))
        except Exception as error:
            log.exception("control: a request failed")
            body = _refusal(request_id, "internal", f"{type(error).__name__}: {error}")
        reply(to_json(body))

    def _read(self, parts: list[bytes]) -> dict[str, Any]:
        if len(parts) != 1:
            raise MessageError(f"{len(parts)} parts came; a request is one part of JSON")
        request = from_json(parts[0])
        if not isinstance(request, dict) or type(request.get("id")) not in (str, int, float):
            raise MessageError('a request is {"id": text or number, "method": ..., "params": {...}}')
        return request

    def _method(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        method, params = request.get("method"), request.get("params")
        if not isinstance(method, str) or (method not in self.methods and method != "snapshot"):
            known = nearest(str(method)[:40], [*self.methods, "snapshot"])
            raise ControlError("unknown_method", f"no method {str(method)[:40]!r}; {known}")
        if params is not None and not isinstance(params, dict):
            raise ControlError("bad_params", "params: needs an object")
        return method, params or {}

    def _add_object(self, params: dict[str, Any]) -> dict[str, Any]:
        _only(params, "points", "box", "mask")
        size = self._size()
        xy, labels = point_arrays(params.get("points"))
        mask = packed_mask(params["mask"], size) if params.get("mask") else None
        return {"object_id": self.add(size, xy=xy, labels=labels, box=_box(params.get("box")), mask=mask)}

    def add(self, size: tuple[int, int], **given: Any) -> int:
        """Follow a new object, given as in a Prompt; its id. ControlError where that does not fit the frame."""
        prompt = Prompt(object_id=self.graph.registry.next_id, **given)
        check_prompt(prompt, size)
        self.graph.registry.add(prompt, size)
        self.graph.prompt(prompt)
        return prompt.object_id

    def follow(self, found: Found, most: int, *, exact: bool) -> list[int]:
        """Add what was found, the best first, until there are `most` objects; the new ids.

        `exact`: the prompts begin on the very frame of the masks. Else the mask is where SAM begins to look, and a
        point comes along, so that it is asked.
        """
        ids: list[int] = []
        if found.size != self.graph.registry.size:
            log.info("the frame size has changed since frame %d: what was found there is let go", found.frame_id)
            return ids
        room = max(0, most - len(self.graph.registry.entries))
        for o in found.objects[:room]:
            xy = None if exact else np.array([o.inside], np.float32)
            labels = None if exact else np.ones(1, np.uint8)
            try:
                ids.append(self.add(found.size, mask=o.whole(found.size), xy=xy, labels=labels))
            except ControlError as error:
                log.warning("an object that was found is not followed: %s", error)
        return ids

    def _refine_object(self, params: dict[str, Any]) -> dict[str, Any]:
        _only(params, "object_id", "points")
        size = self._size()
        object_id = params.get("object_id")
        entry = self.graph.registry.entry(object_id)
        xy, labels = point_arrays(params.get("points"))
        if xy is None:
            raise ControlError("bad_params", f"points: needs 1 to {MAX_POINTS} points [x, y, label]")
        prompt = Prompt(object_id=entry.prompt.object_id, kind="refine", xy=xy, labels=labels)
        check_prompt(prompt, size)
        self.graph.registry.refine(prompt)
        self.graph.prompt(prompt)
        return {"object_id": prompt.object_id}

    def _remove_object(self, params: dict[str, Any]) -> dict[str, Any]:
        _only(params, "object_id")
        object_id: Any = params.get("object_id")
        self.graph.registry.remove(object_id)
        self.graph.remove(object_id)
        return {"object_id": object_id}

    def _pause(self, on: bool) -> dict[str, Any]:
        self.graph.pause(on)
        return {"paused": on}

    def _shutdown(self, params: dict[str, Any]) -> dict[str, Any]:
        self.graph.shut_down()
        return {}

    def _snapshot(self, params: dict[str, Any], request_id: Any, reply: Callable[[bytes], None]) -> None:
        def answer(result: dict[str, str], error: str) -> None:
            code = "timeout" if error.startswith("no answer") else "internal"
            body = _refusal(request_id, code, error) if error else {"id": request_id, "result": result}
            reply(to_json(body))

        self._size()
        self.graph.snapshot(answer)

    def _size(self) -> tuple[int, int]:
        if self.graph.registry.size is None:
            raise ControlError("not_ready", "the source is not open yet; try again when frames come")
        return self.graph.registry.size


def _refusal(request_id: Any, code: str, message: str) -> dict[str, Any]:
    return {"id": request_id, "error": {"code": code, "message": message}}


def _only(params: dict[str, Any], *known: str) -> None:
    for key in params:
        if key not in known:
            raise ControlError("bad_params", f"params: unknown key {key[:40]!r}; {nearest(key[:40], known)}")


def _box(value: Any) -> tuple[float, float, float, float] | None:
    if value is None:
        return None
    numbers = isinstance(value, list) and len(value) == 4 and all(type(v) in (int, float) for v in value)
    if not numbers or not all(abs(v) < 1e6 for v in value):
        raise ControlError("bad_params", "box: needs [x1, y1, x2, y2]")
    x1, y1, x2, y2 = map(float, value)
    return x1, y1, x2, y2
