"""Messages over ZeroMQ: a Publisher and a Subscriber for each topic, an in-memory twin of each; zmq enters here.

The writer of a topic binds one ROUTER socket; each reader connects a DEALER that carries its node's name and asks for
messages (`stream/lanes.py`). The same code runs over ipc, inproc and tcp (with CURVE where keys are given).
"""

from __future__ import annotations

import errno
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import zmq
import zmq.auth

from stream.errors import ConfigError, MessageError
from stream.lanes import STAMP_BYTES, Lane, Want, new_id
from stream.messages import MAX_MESSAGE_BYTES, End, Message, from_parts, to_parts
from stream.topology import TOPICS, Delivery

log = logging.getLogger(__name__)

NUDGE_S = 0.2  # how often a reader repeats its request: the longest that a restarted writer waits for it
# libzmq closes a connection without a word when a message passes its limit. Ours lies above the 64 MiB that are
# accepted, so that what is too long is counted like everything malformed; what is far too long is never read at all.
SOCKET_LIMIT_BYTES = 2 * MAX_MESSAGE_BYTES


class Keys:
    """The CURVE key pair that every host of a graph holds; who has no copy of it is not let in."""

    def __init__(self, folder: str) -> None:
        try:
            self.public, secret = zmq.auth.load_certificate(Path(folder) / "graph.key_secret")
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"graph.keys is {folder!r}: no key pair there ({error}); "
                f"make one with `python tools/ctl.py keygen {folder}`"
            ) from None
        if secret is None:
            raise ConfigError(f"graph.keys is {folder!r}: graph.key_secret holds no secret key")
        self.secret = secret

    def bind_side(self, socket: zmq.Socket[bytes]) -> None:
        """Let in only who holds the key pair (the authenticator of the Context checks it)."""
        socket.curve_publickey, socket.curve_secretkey, socket.curve_server = self.public, self.secret, True
        socket.zap_domain = b"graph"

    def connect_side(self, socket: zmq.Socket[bytes]) -> None:
        """Show the key pair, and talk to nobody else who has not got it."""
        socket.curve_publickey, socket.curve_secretkey, socket.curve_serverkey = self.public, self.secret, self.public


def make_keys(folder: str) -> None:
    """Write a new key pair into `folder` (made, private); ConfigError when there is one already, or it can't be."""
    path = Path(folder)
    if (path / "graph.key_secret").exists():
        raise ConfigError(f"{folder} holds a key pair already; remove it, or name another folder")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        zmq.auth.create_certificates(path, "graph")
        (path / "graph.key_secret").chmod(0o600)
    except OSError as error:
        raise ConfigError(f"{folder}: no key pair can be written there ({error.strerror})") from None


class Context:
    """The sockets of one process (or, over inproc, of all nodes in it)."""

    def __init__(self, keys: str = "") -> None:
        self.zmq = zmq.Context()
        self.zmq.set(zmq.MAX_SOCKETS, 4096)
        self.keys = Keys(keys) if keys else None
        self._authenticator: Any = None
        self._open: list[zmq.Socket[bytes]] = []  # held, so that none is collected before it is closed

    def socket(
        self, kind: int, *, bind: str = "", connect: str = "", queue: int, name: bytes = b""
    ) -> zmq.Socket[bytes]:
        """A socket with this project's options; ConfigError when the endpoint can't be bound."""
        socket = self.zmq.socket(kind)
        self._open = [s for s in self._open if not s.closed] + [socket]
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = queue
        socket.maxmsgsize = SOCKET_LIMIT_BYTES
        socket.reconnect_ivl, socket.reconnect_ivl_max = 20, 500  # ms
        if name:
            socket.routing_id = name
        if kind == zmq.ROUTER:
            socket.router_mandatory = socket.router_handover = 1
        endpoint = bind or connect
        if endpoint.startswith("tcp://"):
            socket.heartbeat_ivl, socket.heartbeat_timeout = 1000, 3000  # ms; a host that vanishes is noticed
            if self.keys:
                self._secure(socket, bool(bind))
        try:
            if bind:
                socket.bind(endpoint)
            else:
                socket.connect(endpoint)
        except zmq.ZMQError as error:
            socket.close()
            raise ConfigError(_why_not_bound(endpoint, error)) from None
        return socket

    def _secure(self, socket: zmq.Socket[bytes], bind: bool) -> None:
        assert self.keys
        if not bind:
            self.keys.connect_side(socket)
            return
        if self._authenticator is None:
            from zmq.auth.thread import ThreadAuthenticator

            self._authenticator = ThreadAuthenticator(self.zmq)
            self._authenticator.start()
            self._authenticator.configure_curve_callback("graph", credentials_provider=_OneKey(self.keys.public))
        self.keys.bind_side(socket)

    def close(self) -> None:
        """Close what is still open; never waits for unsent messages."""
        if self._authenticator is not None:
            self._authenticator.stop()
        self.zmq.destroy(linger=0)


class _OneKey:
    """CURVE's question whether a client may come in: only with the graph's own key."""

    def __init__(self, public: bytes) -> None:
        self.public = public

    def callback(self, domain: str, key: bytes) -> bool:
        return key == self.public  # both in Z85


def _why_not_bound(endpoint: str, error: zmq.ZMQError) -> str:
    reason = {
        zmq.EADDRINUSE: "is in use by another program; stop that one or choose another port",
        zmq.EADDRNOTAVAIL: "is no address of this machine",
        errno.ENODEV: "is no address of this machine",
        errno.EACCES: "may not be bound by this user",
        errno.EPERM: "may not be bound by this user",
        errno.ENOENT: "lies in a folder that does not exist",
    }.get(error.errno or 0, f"can't be used ({error.strerror})")
    return f"endpoint {endpoint} {reason}"


class _Packed:
    """A message, packed for the wire once, and only if somebody asks for it."""

    def __init__(self, message: Message) -> None:
        self.message = message

    @cached_property
    def parts(self) -> list[Any]:
        return to_parts(self.message)


class Publisher:
    """The writer's end of a topic. Nothing here ever waits: `ready` is False while a reader is behind."""

    def __init__(self, context: Context, endpoint: str, topic: str, readers: dict[str, Delivery]) -> None:
        writer_id = new_id()
        self.topic = topic
        self.socket = context.socket(zmq.ROUTER, bind=endpoint, queue=TOPICS[topic].depth + 8)
        self.lanes = {
            name.encode(): Lane[_Packed](writer_id, delivery, delivery.depth(topic))
            for name, delivery in readers.items()
        }
        self.malformed = 0
        self.spent_ns = 0

    @property
    def ready(self) -> bool:
        """False while a reader that is waited for has its queue full."""
        return not any(lane.full for lane in self.lanes.values())

    @property
    def dropped(self) -> int:
        """Messages that gave way in a bounded queue (who reads the newest only does not miss the others)."""
        return sum(lane.dropped for lane in self.lanes.values() if lane.delivery is Delivery.EVERY)

    def send(self, message: Message, *, to: str = "") -> None:
        """Let `message` wait for every reader (or the one named), and send what was asked for."""
        started = time.thread_time_ns()
        packed, last = _Packed(message), isinstance(message, End)
        for name, lane in self.lanes.items():
            if not to or name == to.encode():
                lane.offer(packed, last=last)
        self._flush()
        self.spent_ns += time.thread_time_ns() - started

    def forget(self, reader: str) -> None:
        """Drop what waits for a reader that begins anew."""
        self.lanes[reader.encode()].waiting.clear()

    def pump(self) -> None:
        """Take a request that has come, and send what it asks for. Call while the socket is readable."""
        started = time.thread_time_ns()
        try:
            name, *request = self.socket.recv_multipart(zmq.DONTWAIT)
            if name not in self.lanes or len(request) != 1:
                raise MessageError(f"{name[:20]!r} is no reader of {self.topic}")
            self.lanes[name].requested(request[0])
        except MessageError as error:
            self.malformed += 1
            log.debug("%s: %s", self.topic, error)
        except zmq.Again:
            pass  # nothing has come
        self._flush()
        self.spent_ns += time.thread_time_ns() - started

    def _flush(self) -> None:
        for name, lane in self.lanes.items():
            while (item := lane.next()) is not None:
                stamp, packed = item
                head, *large = packed.parts if packed else (b"",)
                try:
                    self.socket.send(name, zmq.DONTWAIT | zmq.SNDMORE)
                    self.socket.send(stamp + head, zmq.DONTWAIT | (zmq.SNDMORE if large else 0))
                    for i, array in enumerate(large, start=1):
                        self.socket.send(array, zmq.DONTWAIT | (zmq.SNDMORE if i < len(large) else 0), copy=False)
                except zmq.ZMQError as error:  # EHOSTUNREACH: the reader's process is gone; EAGAIN: it is stuck
                    log.debug("%s to %s: %s", self.topic, name, error)
                    if packed is not None:
                        lane.waiting.appendleft(packed)
                        lane.sent -= 1
                    lane.reader_gone()

    def close(self) -> None:
        """Close the socket; what still waits is dropped."""
        self.socket.close(linger=0)


class Subscriber:
    """A reader's end of a topic: the messages it asked for, checked. Malformed ones are counted and dropped."""

    def __init__(
        self,
        context: Context,
        endpoint: str,
        topic: str,
        reader: str,
        delivery: Delivery,
        kinds: Sequence[type[Message]],
    ) -> None:
        self.topic = topic
        self.delivery = delivery
        self.kinds: tuple[type[Message], ...] = (*kinds, End)
        # Where all are waited for, one is in hand while the depth waits; and more are asked for once half are taken.
        self.window = delivery.depth(topic) + (delivery is Delivery.LOSSLESS)
        self.socket = context.socket(zmq.DEALER, connect=endpoint, queue=TOPICS[topic].depth + 8, name=reader.encode())
        self.want = Want()
        self.malformed = 0
        self.spent_ns = 0
        self._asked_for = -1  # the total asked for last; -1: nothing yet
        self._batch = (self.window + 1) // 2
        self._asked_at = 0.0

    @property
    def lost(self) -> int:
        """Messages that were sent here and never came (their writer or reader was killed)."""
        return self.want.lost

    def ask(self) -> None:
        """Ask for as many messages as may be under way; again after a while, in case the writer is a new one."""
        total, now = self.want.taken + self.window, time.monotonic()
        if total - self._asked_for < self._batch and now - self._asked_at < NUDGE_S:
            return
        try:
            self.socket.send(self.want.request(self.window), zmq.DONTWAIT)
        except zmq.Again:
            return  # no writer is there yet
        self._asked_for, self._asked_at = total, now

    def take(self) -> Message | None:
        """The next well-formed message that has come, if any. Never waits."""
        started = time.thread_time_ns()
        try:
            while True:
                try:
                    frames = self.socket.recv_multipart(zmq.DONTWAIT, copy=False)
                except zmq.Again:
                    return None
                head, *large = [f.buffer for f in frames]
                try:
                    stamp, head = bytes(head[:STAMP_BYTES]), head[STAMP_BYTES:]
                    self.want.came(stamp, message=head.nbytes > 0)
                    if head.nbytes:
                        return from_parts([head, *large], *self.kinds)
                except MessageError as error:
                    self.malformed += 1
                    log.debug("%s: %s", self.topic, error)
        finally:
            self.spent_ns += time.thread_time_ns() - started

    def close(self) -> None:
        """Close the socket."""
        self.socket.close(linger=0)


class Inlet:
    """Where many write to one: small messages, one PULL socket (reports to the supervisor)."""

    def __init__(self, context: Context, endpoint: str, kinds: Sequence[type[Message]]) -> None:
        self.socket = context.socket(zmq.PULL, bind=endpoint, queue=1000)
        self.kinds = kinds
        self.malformed = 0

    def take(self) -> Message | None:
        """The next well-formed message that has come, if any. Never waits."""
        while True:
            try:
                parts = self.socket.recv_multipart(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return None
            try:
                return from_parts([p.buffer for p in parts], *self.kinds)
            except MessageError as error:
                self.malformed += 1
                log.debug("reports: %s", error)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close(linger=0)


class Outlet:
    """One of the many that write to an Inlet. When nobody takes them, messages are dropped, never waited for."""

    def __init__(self, context: Context, endpoint: str) -> None:
        self.socket = context.socket(zmq.PUSH, connect=endpoint, queue=1000)

    def send(self, message: Message) -> None:
        """Send, or drop when the queue is full."""
        try:
            self.socket.send_multipart(to_parts(message), zmq.DONTWAIT)
        except zmq.Again:
            log.debug("reports: nobody takes them")

    def close(self, wait_ms: int = 500) -> None:
        """Close once the last message is out, or after `wait_ms`."""
        self.socket.close(linger=wait_ms)


class Broadcast:
    """The PUB socket for programs outside: never waits for any of them."""

    def __init__(self, context: Context, endpoint: str, queue: int) -> None:
        self.socket = context.socket(zmq.PUB, bind=endpoint, queue=queue)
        self.endpoint = self.socket.get_string(zmq.LAST_ENDPOINT)

    def send(self, parts: Sequence[bytes]) -> None:
        """Send to whoever subscribes; a subscriber whose queue is full misses it, and sees the gap in `sequence`."""
        self.socket.send_multipart(parts, zmq.DONTWAIT)

    def close(self, wait_ms: int = 500) -> None:
        """Close once the last messages are out, or after `wait_ms`."""
        self.socket.close(linger=wait_ms)


class Listener:
    """A SUB socket on a Broadcast."""

    def __init__(
        self, context: Context, endpoint: str, topics: Sequence[str], queue: int = 1000, *, own_context: bool = False
    ) -> None:
        self.socket = context.socket(zmq.SUB, connect=endpoint, queue=queue)
        self._own = context if own_context else None
        for topic in topics:
            self.socket.subscribe(topic)

    def recv(self, timeout_ms: int) -> list[bytes] | None:
        """The next message's parts, or None after `timeout_ms`."""
        if not self.socket.poll(timeout_ms):
            return None
        return self.socket.recv_multipart(zmq.DONTWAIT)

    def close(self) -> None:
        """Close the socket, and its context where that is its own."""
        self.socket.close(linger=0)
        if self._own:
            self._own.close()


def subscribe(endpoint: str, topics: Sequence[str], keys: str = "") -> Listener:
    """Listen to a Broadcast in a context of its own (tools)."""
    return Listener(Context(keys), endpoint, topics, own_context=True)


class RequestServer:
    """A ROUTER socket that takes requests of anybody: one JSON frame in, one JSON frame out."""

    def __init__(self, context: Context, endpoint: str) -> None:
        self.socket = context.socket(zmq.ROUTER, bind=endpoint, queue=1000)
        self.socket.router_handover = 0  # a second client of the same name must not steal the first one's replies
        self.endpoint = self.socket.get_string(zmq.LAST_ENDPOINT)

    def take(self) -> tuple[list[bytes], list[bytes]] | None:
        """(address, body parts) of the next request, if any; the address holds REQ's empty delimiter too."""
        try:
            parts = self.socket.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            return None
        cut = 2 if len(parts) > 1 and parts[1] == b"" else 1
        return parts[:cut], parts[cut:]

    def reply(self, address: list[bytes], body: bytes) -> None:
        """Send the reply; a client that is gone misses it."""
        try:
            self.socket.send_multipart([*address, body], zmq.DONTWAIT)
        except zmq.ZMQError as error:
            log.debug("control: the client is gone (%s)", error)

    def close(self, wait_ms: int = 500) -> None:
        """Close once the last replies are out, or after `wait_ms`."""
        self.socket.close(linger=wait_ms)


class RequestClient:
    """A DEALER that sends requests to a RequestServer."""

    def __init__(self, endpoint: str, keys: str = "", context: Context | None = None) -> None:
        self._own = None if context else Context(keys)  # a tool has one request to make, a node a context already
        self.socket = (context or self._own).socket(zmq.DEALER, connect=endpoint, queue=1000)  # type: ignore[union-attr]

    def send(self, body: bytes) -> None:
        """Send one request."""
        self.socket.send(body)

    def recv(self, timeout_ms: int) -> bytes | None:
        """The next reply, or None after `timeout_ms`."""
        return self.socket.recv(zmq.DONTWAIT) if self.socket.poll(timeout_ms) else None

    def close(self) -> None:
        """Close the socket."""
        self.socket.close(linger=0)
        if self._own:
            self._own.close()


class Poller:
    """Waits for sockets and file descriptors at once."""

    def __init__(self) -> None:
        self._poller = zmq.Poller()

        self._things: dict[Any, Any] = {}  # socket or descriptor -> what is watched

    def watch(self, thing: Any, on: bool = True) -> None:
        """Watch (or no longer watch) a transport object or a file descriptor for input."""
        target = thing if isinstance(thing, int) else thing.socket
        if on and target not in self._things:
            self._things[target] = thing
            self._poller.register(target, zmq.POLLIN)
        elif not on and target in self._things:
            del self._things[target]
            self._poller.unregister(target)

    def wait(self, timeout_ms: int) -> list[Any]:
        """What is watched and has input, after at most `timeout_ms`."""
        return [self._things[target] for target, _ in self._poller.poll(timeout_ms)]


# --- the in-memory twin ----------------------------------------------------------------------------------------------


class Inbox(Protocol):
    """What a node reads from."""

    topic: str

    def ask(self) -> None: ...
    def take(self) -> Message | None: ...


class Outbox(Protocol):
    """What a node writes to."""

    topic: str

    @property
    def ready(self) -> bool: ...
    def send(self, message: Message) -> None: ...
    def pump(self) -> None: ...


class MemoryTopic:
    """A topic without sockets: the same lanes and the same wire form, for tests of nodes."""

    def __init__(self, topic: str, readers: dict[str, Delivery]) -> None:
        self.topic = topic
        writer_id = new_id()
        self.lanes = {n: Lane[list[bytes]](writer_id, d, d.depth(topic)) for n, d in readers.items()}
        self.arrived: dict[str, deque[tuple[bytes, list[bytes]]]] = {n: deque() for n in readers}

    @property
    def ready(self) -> bool:
        """False while a reader that is waited for has its queue full."""
        return not any(lane.full for lane in self.lanes.values())

    @property
    def dropped(self) -> int:
        """Messages that gave way to newer ones."""
        return sum(lane.dropped for lane in self.lanes.values())

    def send(self, message: Message) -> None:
        """Let `message` wait for every reader, and hand over what was asked for."""
        parts = [bytes(p) for p in to_parts(message)]
        for lane in self.lanes.values():
            lane.offer(parts, last=isinstance(message, End))
        self.pump()

    def pump(self) -> None:
        """Hand over what was asked for."""
        for name, lane in self.lanes.items():
            while (item := lane.next()) is not None:
                stamp, parts = item
                self.arrived[name].append((stamp, parts or []))

    def reader(self, name: str) -> MemorySubscriber:
        """The end of the reader `name`."""
        return MemorySubscriber(self, name)


class MemorySubscriber:
    """A reader's end of a MemoryTopic."""

    def __init__(self, source: MemoryTopic, name: str) -> None:
        self.topic = source.topic
        self.window = source.lanes[name].depth
        self.want = Want()
        self.malformed = 0
        self._source, self._name = source, name

    def ask(self) -> None:
        """Ask for as many messages as may be under way."""
        self._source.lanes[self._name].requested(self.want.request(self.window))
        self._source.pump()

    def take(self) -> Message | None:
        """The next well-formed message, if any."""
        queue = self._source.arrived[self._name]
        while queue:
            stamp, parts = queue.popleft()
            try:
                self.want.came(stamp, message=bool(parts))
                if not parts:
                    continue
                return from_parts(parts, TOPICS[self.topic].kind, End)
            except MessageError:
                self.malformed += 1
        return None


Handler = Callable[[Any], None]
