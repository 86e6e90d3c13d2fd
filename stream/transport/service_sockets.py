"""Sockets where many meet one: reports to the supervisor, masks to the world, requests of anybody. Nothing waits."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

import zmq

from stream.errors import ControlError, MessageError
from stream.messages import Message
from stream.transport.gate import Gate
from stream.transport.relay import Allowance
from stream.transport.sockets import Context, Members, bound_endpoint
from stream.transport.subscriptions import Subscriptions
from stream.transport.wire import from_parts, to_parts

log = logging.getLogger(__name__)

SUBSCRIPTION_BYTES = 512  # the longest topic has 71; libzmq keeps each prefix that was sent, 50 bytes for one of it
# each has a socket of its own, which takes 2 to 4 ms of a core to make and to close
SUBSCRIBING = Allowance(clients=48, burst_bytes=1 << 13, bytes_per_s=64, joins_per_s=16)
REQUEST_BYTES = 1 << 20  # with the mask of an 8K picture in it
REQUESTING = Allowance(clients=256, burst_bytes=4 << 20, bytes_per_s=1 << 20)
REPLIES = 64  # that wait for a client that does not read them; it misses the others


class Inlet:
    """Where many write to one: small messages, one PULL socket (reports to the supervisor)."""

    def __init__(self, context: Context, endpoint: str, kinds: Sequence[type[Message]]) -> None:
        self.socket = context.socket(zmq.PULL, bind=endpoint, queue=1000)
        self.endpoint = bound_endpoint(self.socket)  # as bound
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
    """The sockets for programs outside: never waits for any of them, and holds nothing that they could make grow.

    Each client has a socket of its own. Where one socket serves all, libzmq keeps their subscriptions in one tree and
    walks through all of it when one leaves, so that a few who come and go with many topics stop everybody. The sockets
    are XPUB, which tell what is subscribed to, so that nobody makes what nobody looks at.
    """

    def __init__(
        self,
        context: Context,
        endpoint: str,
        queue: int,
        *,
        inner: str = "",
        in_run_only: bool = False,
        outside: str = "",
    ) -> None:
        """`inner`: a second endpoint, for nodes of this run, which need no gate and have no limits of clients.

        `in_run_only`: the first endpoint, too, is for them; so is `outside`, which is bound then, too, for nodes on
        another host.
        """
        self._members = Members()
        self._sockets: list[zmq.Socket[bytes]] = []
        self._subscriptions = Subscriptions()  # by socket
        self._gates: list[Gate] = []
        self.endpoint = self._bind(context, endpoint, queue, in_run=in_run_only)
        if inner:
            self._bind(context, inner, queue, in_run=True)
        if outside:
            self.endpoint = context.attach(self._sockets[0], bind=outside)

    def _bind(self, context: Context, endpoint: str, queue: int, *, in_run: bool) -> str:
        """Open an endpoint; its address as bound."""
        if in_run or endpoint.startswith("inproc://"):  # nobody outside the run, or even this process
            self._sockets.append(context.socket(zmq.XPUB, bind=endpoint, queue=queue))
            return endpoint
        gate = context.gate(
            zmq.XPUB, endpoint, self._members, queue=queue, limit_bytes=SUBSCRIPTION_BYTES, allowance=SUBSCRIBING
        )
        self._gates.append(gate)
        return gate.endpoint

    def send(self, parts: Sequence[bytes]) -> None:
        """Send to whoever subscribes; a subscriber whose queue is full misses it, and sees the gap in `sequence`."""
        self.serve()
        for socket in self._sockets:
            socket.send_multipart(parts, zmq.DONTWAIT)

    def serve(self) -> None:
        """Take in the clients that have come, and let go of those that have left."""
        left = _take_all(self._members.left)  # before those that have joined: who comes and goes meanwhile does both
        self._sockets += _take_all(self._members.joined)
        for socket in left:
            self._sockets = [s for s in self._sockets if s is not socket]
            self._subscriptions.leave(socket)
            socket.close(linger=0)
        for socket in self._sockets:
            self._take_subscriptions(socket)

    def has_subscriber(self, topic: str) -> bool:
        """Whether a client subscribes to the topic, or to a prefix of it, as of the last `serve`."""
        return self._subscriptions.cover(topic.encode())

    def _take_subscriptions(self, socket: zmq.Socket[bytes]) -> None:
        """Take what a client has subscribed to; libzmq takes it in when it is called, and not before."""
        while int(socket.get(zmq.EVENTS)) & zmq.POLLIN:
            part = socket.recv(zmq.DONTWAIT)  # libzmq, too, takes each part for itself
            if part[:1] == b"\0":
                self._subscriptions.remove(socket, part[1:])
            elif part[:1] == b"\1":
                self._subscriptions.add(socket, part[1:])

    def close(self, wait_ms: int = 500) -> None:
        """Close once the last messages are out, or after `wait_ms`."""
        for gate in self._gates:
            gate.close()
        self.serve()
        for socket in self._sockets:
            socket.close(linger=wait_ms)


def _take_all(sockets: deque[zmq.Socket[bytes]]) -> list[zmq.Socket[bytes]]:
    """What another thread has appended until now."""
    taken = []
    while sockets:
        taken.append(sockets.popleft())
    return taken


class _Subscriber:
    """A SUB socket."""

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self.socket = socket

    def subscribe(self, topic: str) -> None:
        """Take messages of a topic, or of all that begin so, from now on."""
        self.socket.subscribe(topic)

    def unsubscribe(self, topic: str) -> None:
        """Take no more of them."""
        self.socket.unsubscribe(topic)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close(linger=0)


class Listener(_Subscriber):
    """A SUB socket on a Broadcast."""

    def __init__(
        self, context: Context, endpoint: str, topics: Sequence[str], queue: int = 1000, *, own_context: bool = False
    ) -> None:
        super().__init__(context.socket(zmq.SUB, connect=endpoint, queue=queue))
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
        super().close()
        if self._own:
            self._own.close()


class Collector(_Subscriber):
    """A SUB socket on many Broadcasts."""

    def __init__(self, context: Context, queue: int) -> None:
        """`queue`: messages of each Broadcast that wait here."""
        super().__init__(context.open(zmq.SUB, queue=queue))
        self._context = context

    def connect(self, endpoint: str) -> None:
        """Listen to one more; it need not be there yet."""
        self._context.attach(self.socket, connect=endpoint)

    def disconnect(self, endpoint: str) -> None:
        """Listen to one no longer."""
        try:
            self.socket.disconnect(endpoint)
        except zmq.ZMQError as error:
            log.debug("%s: %s", endpoint, error)

    def take(self) -> list[bytes] | None:
        """The next message's parts, if one has come. Never waits."""
        try:
            return self.socket.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            return None


def subscribe(endpoint: str, topics: Sequence[str], keys: str = "") -> Listener:
    """Listen to a Broadcast in a context of its own (tools)."""
    return Listener(Context(keys), endpoint, topics, own_context=True)


class RequestServer:
    """A ROUTER socket that takes requests of anybody: one JSON frame in, one JSON frame out."""

    def __init__(self, context: Context, endpoint: str) -> None:
        self._context = context
        self.socket, self.endpoint = context.public_socket(
            zmq.ROUTER, endpoint, queue=REPLIES, limit_bytes=REQUEST_BYTES, allowance=REQUESTING
        )
        self.socket.router_handover = 0  # a second client of the same name must not steal the first one's replies

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
        self._context.close_public(self.socket, wait_ms)


class RequestClient:
    """A DEALER that sends requests to a RequestServer."""

    def __init__(self, endpoint: str, keys: str = "", context: Context | None = None) -> None:
        self._own = None if context else Context(keys)  # a tool has one request to make, a node a context already
        self.socket = (context or self._own).socket(zmq.DEALER, connect=endpoint, queue=1000)  # type: ignore[union-attr]

    def send(self, body: bytes) -> None:
        """Send one request; ControlError where a thousand wait already, since nobody is there to take them."""
        try:
            self.socket.send(body, zmq.DONTWAIT)
        except zmq.Again:
            raise ControlError("busy", "no run takes requests there") from None

    def recv(self, timeout_ms: int) -> bytes | None:
        """The next reply, or None after `timeout_ms`."""
        return self.socket.recv(zmq.DONTWAIT) if self.socket.poll(timeout_ms) else None

    def close(self) -> None:
        """Close the socket."""
        self.socket.close(linger=0)
        if self._own:
            self._own.close()
