"""The in-memory twin of the transport: the same lanes and wire form without sockets, for tests of nodes."""

from __future__ import annotations

from collections import deque

from stream.credit import ReaderCredit, WriterCredit, new_id
from stream.errors import MessageError
from stream.messages import End, Message
from stream.topology import TOPICS, Delivery
from stream.wire import from_parts, to_parts


class MemoryTopic:
    """A topic without sockets: the same lanes and the same wire form, for tests of nodes."""

    def __init__(self, topic: str, readers: dict[str, Delivery]) -> None:
        self.topic = topic
        writer_id = new_id()
        self.lanes = {n: WriterCredit[list[bytes]](writer_id, d, d.depth(topic)) for n, d in readers.items()}
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
        lane = source.lanes[name]
        self.window = lane.depth + (lane.delivery is Delivery.LOSSLESS)
        self.want = ReaderCredit()
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
