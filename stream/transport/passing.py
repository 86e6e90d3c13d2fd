"""Messages between nodes of one process: they are passed as they are, and only their stamps go through the socket.

So a picture is there once, however many nodes of the process have it. As on the wire, arrays arrive read-only, small
ones are copies, and large ones lie where their writer has them: who sends an array does not write into it afterwards.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from stream.errors import MessageError
from stream.messages import Message
from stream.transport.wire import SMALL_BYTES

PASSED = b"\0"  # in the place of a packed message: it is on the shelf


class Shelf:
    """Messages that are on their way from a writer to a reader, by the stamp that goes through the socket."""

    def __init__(self) -> None:
        self._messages: dict[tuple[bytes, bytes], Message] = {}  # (reader, stamp) -> message

    def put(self, reader: bytes, stamp: bytes, message: Message) -> None:
        """Keep a message until its reader takes it."""
        self._messages[reader, stamp] = message

    def take(self, reader: bytes, stamp: bytes) -> Message:
        """The message, once; MessageError where there is none."""
        try:
            return self._messages.pop((reader, stamp))
        except KeyError:
            raise MessageError("a stamp came of a message that nobody has passed") from None

    def clear(self, reader: bytes, writer_id: bytes) -> None:
        """Forget what a writer has passed to a reader that is gone."""
        for key in [key for key in self._messages if key[0] == reader and key[1].startswith(writer_id)]:
            self._messages.pop(key, None)

    def __len__(self) -> int:
        return len(self._messages)


def as_passed(value: Any) -> Any:
    """A message as it arrives within the process: arrays read-only, numbers of numpy as plain ones."""
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        changed = {name: new for name, old in fields.items() if (new := as_passed(old)) is not old}
        return msgspec.structs.replace(value, **changed) if changed else value
    if isinstance(value, tuple):
        items = tuple(map(as_passed, value))
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    if isinstance(value, list):
        return [as_passed(item) for item in value]
    if isinstance(value, dict):
        return {key: as_passed(item) for key, item in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def _array(value: Any) -> Any:
    if not value.flags.writeable:
        return value
    passed = value.view() if value.nbytes >= SMALL_BYTES else value.copy()
    passed.flags.writeable = False
    return passed
