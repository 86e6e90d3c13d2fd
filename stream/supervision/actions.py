"""What the session and the request handler decide: frozen actions, which the supervisor's loop carries out in order."""

from __future__ import annotations

from dataclasses import dataclass

from stream.commands import Command
from stream.errors import StreamError


@dataclass(frozen=True)
class SendCommand:
    """Send a command to a node."""

    node: str
    command: Command


@dataclass(frozen=True)
class SendReply:
    """Send the one reply to a request."""

    address: tuple[bytes, ...]  # of the client, as the request came with it
    body: bytes  # JSON


@dataclass(frozen=True)
class SaveJournal:
    """Write the journal."""

    contents: str
    zones: str = ""  # in a file of their own, where there is a state folder


@dataclass(frozen=True)
class EndRun:
    """End the run: in order, or with this error."""

    error: StreamError | None = None


Action = SendCommand | SendReply | SaveJournal | EndRun


class Outbox:
    """Actions that wait to be carried out, oldest first."""

    def __init__(self) -> None:
        self._actions: list[Action] = []

    def put(self, action: Action) -> None:
        """Add an action."""
        self._actions.append(action)

    def take(self) -> list[Action]:
        """All actions since the last call."""
        actions, self._actions = self._actions, []
        return actions
