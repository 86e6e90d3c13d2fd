"""What the supervisor and its agents on other hosts tell each other: an agent runs the process of one camera."""

from __future__ import annotations

from typing import ClassVar

from stream.messages import Message


class ToAgent(Message, frozen=True, kw_only=True):
    """Base of what the supervisor says."""


class Present(ToAgent, frozen=True, kw_only=True):
    """The supervisor is there: once a second."""

    schema: ClassVar[str] = "present/1"


class Run(ToAgent, frozen=True, kw_only=True):
    """Start the process of that name, with this plan (`stream/supervision/launching.py`)."""

    schema: ClassVar[str] = "run/1"
    number: int  # of this life of the process
    name: str
    plan: str


class Tell(ToAgent, frozen=True, kw_only=True):
    """Write a plan to the input of the process that runs."""

    schema: ClassVar[str] = "tell/1"
    plan: str


class Terminate(ToAgent, frozen=True, kw_only=True):
    """Ask the process to stop."""

    schema: ClassVar[str] = "terminate/1"


class Kill(ToAgent, frozen=True, kw_only=True):
    """End the process, whatever it does."""

    schema: ClassVar[str] = "kill/1"


class Leave(ToAgent, frozen=True, kw_only=True):
    """End the process, and yourself."""

    schema: ClassVar[str] = "leave/1"


class ToSupervisor(Message, frozen=True, kw_only=True):
    """Base of what an agent says."""


class Alive(ToSupervisor, frozen=True, kw_only=True):
    """The agent is there: once a second, and first of all."""

    schema: ClassVar[str] = "alive/1"
    address: str  # of its host, as the supervisor's host sees it
    held: bool = True  # the actor that holds its share of the host for it lives


class Started(ToSupervisor, frozen=True, kw_only=True):
    """The process runs."""

    schema: ClassVar[str] = "started/1"
    number: int
    pid: int


class Line(ToSupervisor, frozen=True, kw_only=True):
    """A line of its output."""

    schema: ClassVar[str] = "line/1"
    text: str


class Ended(ToSupervisor, frozen=True, kw_only=True):
    """The process has ended."""

    schema: ClassVar[str] = "ended/1"
    number: int
    code: int  # below 0 for a signal


TO_AGENT: tuple[type[ToAgent], ...] = (Present, Run, Tell, Terminate, Kill, Leave)
TO_SUPERVISOR: tuple[type[ToSupervisor], ...] = (Alive, Started, Line, Ended)
