"""One request as its method gets it: checked parameters, the session that it acts on, and how it is answered later."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from stream.errors import ControlError, nearest
from stream.supervision.requests.waiting import MAX_WAITING, TIMEOUT_S, WaitingRequest, WaitingRequests
from stream.supervision.session import Session

MAX_WAITING_PROMPTS = 100  # that the tracker has not taken yet; a queue that is full would lose the oldest


@dataclass(frozen=True)
class MethodContext:
    """What every method may use."""

    session: Session
    summary: Callable[[], dict[str, Any]]  # the run so far
    waiting_prompts: Callable[[], int]  # how many commands the tracker has not taken yet
    waiting: WaitingRequests


@dataclass(frozen=True)
class Call:
    """A request."""

    context: MethodContext
    address: tuple[bytes, ...]  # of the client
    request_id: Any  # as the client wrote it
    params: dict[str, Any]
    now_s: float

    @property
    def session(self) -> Session:
        """What the method acts on."""
        return self.context.session

    def accept_only(self, *keys: str) -> None:
        """Refuse parameters of other names; ControlError."""
        for key in self.params:
            if key not in keys:
                raise ControlError("bad_params", f"params: unknown key {key[:40]!r}; {nearest(key[:40], keys)}")

    def check_tracker_has_room(self) -> None:
        """Refuse a prompt while too many wait for the tracker; ControlError."""
        if (waiting := self.context.waiting_prompts()) >= MAX_WAITING_PROMPTS:
            raise ControlError("busy", f"{waiting} prompts wait for the tracker; try again when it has taken them")

    def reply_later(
        self,
        node: str,
        late_because: str,
        *,
        within_s: float = TIMEOUT_S,
        take_back: Callable[[], None] | None = None,
        **result: Any,
    ) -> int:
        """Have the reply wait for that node's Answer; the number that the command must carry. ControlError: too many.

        The reply holds `result` and what the Answer adds. A method that replies later returns None. `take_back` undoes
        what the method has done, where the request is refused in the end.
        """
        if (waiting := self.context.waiting.count(node)) >= MAX_WAITING:
            raise ControlError("busy", f"{waiting} requests wait for the {node}; try again later")
        until_s = self.now_s + within_s
        request = WaitingRequest(
            self.address, self.request_id, node, until_s, late_because, result, within_s, take_back
        )
        return self.context.waiting.add(request)

    @contextmanager
    def no_reply_on_error(self, request: int) -> Iterator[None]:
        """Let nobody wait for a request that turns out to be refused at once."""
        try:
            yield
        except ControlError:
            self.context.waiting.take(request)
            raise


Method = Callable[[Call], dict[str, Any] | None]  # the result; None where the reply comes later
