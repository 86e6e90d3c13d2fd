"""Threads between ZeroMQ and the event loop: what the run publishes, requests to it, and their replies."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from nodes.web.allowances import Allowances
from stream.errors import MessageError, StreamError
from stream.node import ControlClient, PublicListener
from stream.transport.wire import from_json, to_json

log = logging.getLogger(__name__)

POLL_MS = 50  # how soon a listener that has nothing to read sees what it is to subscribe to
REPLY_POLL_MS = 5  # how soon a request goes out while another one waits for its reply
REPLY_S = 30.0  # a reply that takes longer comes no more
MAX_PENDING = 256  # requests without a reply, of all pages together
MAX_REQUEST_BYTES = 1 << 20  # that the run takes
BURST, PER_S = 100.0, 25.0  # requests of a session at once, and in the long run; the run takes 100 a second of all
IDLE_S = 0.5

Parts = list[bytes]


class Listening:
    """Reads what the run publishes, in a thread of its own; of scenes that pile up only the newest goes on."""

    def __init__(self, listener: PublicListener) -> None:
        self._listener = listener
        self._wanted: frozenset[str] = frozenset()  # further topics; written by the loop, read by the thread
        self._subscribed: frozenset[str] = frozenset()
        self._deliver: Callable[[list[Parts]], None] = lambda messages: None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._mailbox: dict[bytes, list[Parts]] = {}  # by topic, on the way to the loop
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="web-listening", daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop, deliver: Callable[[list[Parts]], None]) -> None:
        """Begin; `deliver` is called in the loop with what has come."""
        self._loop, self._deliver = loop, deliver
        self._thread.start()

    def want(self, topics: frozenset[str]) -> None:
        """Listen to these, beside those that are always listened to."""
        self._wanted = topics

    def close(self) -> None:
        """End the thread and close the socket."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2.0)
        self._listener.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            wanted = self._wanted
            for topic in wanted - self._subscribed:
                self._listener.subscribe(topic)
            for topic in self._subscribed - wanted:
                self._listener.unsubscribe(topic)
            self._subscribed = wanted
            if (parts := self._listener.recv(POLL_MS)) is not None:
                self._post(parts)

    def _post(self, parts: Parts) -> None:
        with self._lock:
            first = not self._mailbox
            waiting = self._mailbox.setdefault(bytes(parts[0]), [])
            if parts[0].startswith((b"scenes/", b"status/")):
                waiting.clear()
            if len(waiting) < 1000:
                waiting.append(parts)
            if len(self._mailbox) > 1000:  # a publisher that makes topics up
                self._mailbox.clear()
        if first and self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._empty_mailbox)
            except RuntimeError:  # the loop is closed
                self._stop.set()

    def _empty_mailbox(self) -> None:
        with self._lock:
            messages = [parts for waiting in self._mailbox.values() for parts in waiting]
            self._mailbox = {}
        self._deliver(messages)


class Requests:
    """Sends requests to the run, in a thread of its own; each is awaited in the loop."""

    def __init__(self, client: ControlClient) -> None:
        self._client = client
        self._allowances = Allowances(BURST, PER_S, time.monotonic)
        self._outbox: queue.SimpleQueue[tuple[int, bytes]] = queue.SimpleQueue()
        self._pending: dict[int, asyncio.Future[dict[str, Any]]] = {}  # used in the loop alone
        self._loop: asyncio.AbstractEventLoop | None = None
        self._count = 0
        self._waiting = 0  # requests that were sent and not answered, as the thread sees it
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="web-requests", daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin."""
        self._loop = loop
        self._thread.start()

    async def ask(self, method: str, params: dict[str, Any], who: str, timeout_s: float = REPLY_S) -> dict[str, Any]:
        """The reply: {"result": ...} or {"error": {"code", "message"}}; one of ours where none comes.

        `who` asks: the run sees one client in all of us, so that each session's share is limited here.
        """
        if not self._allowances.take(who):
            return refusal("too_many_requests", f"at most {PER_S:g} requests a second are taken of a session")
        if len(self._pending) >= MAX_PENDING:
            return refusal("busy", f"{len(self._pending)} requests wait for the run; try again")
        self._count += 1
        number = self._count
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        body = to_json({"id": number, "method": method, "params": params})
        if len(body) > MAX_REQUEST_BYTES:  # the run would end the connection, and all who wait would wait in vain
            return refusal("bad_request", f"a request of {len(body)} bytes came; it has at most {MAX_REQUEST_BYTES}")
        self._pending[number] = future
        self._outbox.put((number, body))
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            return refusal("timeout", f"no answer from the run within {timeout_s:g} s")
        finally:
            self._pending.pop(number, None)

    def close(self) -> None:
        """End the thread and close the socket."""
        self._stop.set()
        self._outbox.put((0, b""))
        if self._thread.is_alive():
            self._thread.join(2.0)
        self._client.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._round()
            except (StreamError, ValueError) as error:
                log.debug("control: %s", error)  # who asked is told after REPLY_S

    def _round(self) -> None:
        # While nothing is under way there is nothing to poll for: the thread sleeps until a request comes.
        busy = bool(self._pending)
        try:
            number, body = self._outbox.get(timeout=REPLY_POLL_MS / 1000 if busy else IDLE_S)
        except queue.Empty:
            number = 0
        if number:
            self._client.send(body)
        while (reply := self._client.recv(0)) is not None:
            self._pass_on(from_json(reply))

    def _pass_on(self, reply: Any) -> None:
        if not isinstance(reply, dict) or not isinstance(reply.get("id"), int):
            raise MessageError("a reply without an id came")
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._resolve, reply)

    def _resolve(self, reply: dict[str, Any]) -> None:
        future = self._pending.get(reply.pop("id"))
        if future is not None and not future.done():
            future.set_result(reply)


class NoControl:
    """The control client of a server that was given no control endpoint: everything is refused."""

    def __init__(self) -> None:
        self._replies: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def send(self, body: bytes) -> None:
        """Refuse."""
        reason = "this server can only look: it was started without --control"
        self._replies.put(to_json({"id": from_json(body)["id"], **refusal("unsupported", reason)}))

    def recv(self, timeout_ms: int) -> bytes | None:
        """The next refusal."""
        return None if self._replies.empty() else self._replies.get()

    def close(self) -> None:
        """Nothing is open."""


def refusal(code: str, message: str) -> dict[str, Any]:
    """A reply that says why there is no result."""
    return {"error": {"code": code, "message": message}}
