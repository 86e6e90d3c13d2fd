"""Prompts on past frames, followed on a thread while a model that must see every frame goes on, and handed over then.

Following an object over half a second of frames costs some 0.2 s: the feed does not wait for it. Meanwhile further
frames come, which are followed as well, until one or two are left: those are done at once, and the object is handed
over on the very frame that the live model has seen last.

On a busy machine more frames come than can be followed. Each round follows half as many as the one before, at most,
spread evenly over all that have come: a single jump over a dozen frames is more than flow can follow.

    live model   12   13   14   15   16   17
    the thread   [7 .......... 12][13  14][15] -> handed over on 16, in all masks from 17 on
"""

from __future__ import annotations

from collections.abc import Set
from typing import Protocol

from stream.messages import Frame
from stream.scheduling.worker import Worker

AT_ONCE = 2  # frames that are left: they are followed on the loop's thread
ROUNDS = 4  # on the thread; of what is left then, AT_ONCE frames are followed
GAIN = 2  # by which each round follows fewer frames than the one before; else it would take for ever to catch up
FIRST = 16  # frames that the first round follows at most: those that came with the prompt


class FollowingTask(Protocol):
    """An object that is followed from a past frame on."""

    @property
    def object_id(self) -> int:
        """Of the object."""

    @property
    def behind(self) -> int:
        """How many frames are still to be followed."""

    def follow(self, frame: Frame) -> None:
        """One more frame that the live model has seen."""

    def step(self) -> bool:
        """Follow the object over all frames that have come; on any thread."""

    def thin_out(self, most: int) -> None:
        """Leave frames out evenly, never the newest, so that so many are to be followed at most."""

    def finish(self) -> None:
        """Follow the object over what is left, and hand it over; on the thread of the loop."""

    def give_up(self) -> None:
        """Nobody follows the object any more: tell who waits; on the thread of the loop, before the first step."""


class CatchingUp:
    """One task after the other."""

    def __init__(self, worker: Worker[bool]) -> None:
        self.worker = worker
        self.tasks: list[FollowingTask] = []
        self.rounds = 0  # of the first task, on the thread
        self.begun_with = 0  # frames that were to be followed as its newest round began
        self.first_is_gone = False  # its object was removed meanwhile: it is over with the round that is under way

    @property
    def busy(self) -> bool:
        """Whether a task is under way."""
        return bool(self.tasks)

    def run(self, task: FollowingTask) -> None:
        """Begin a task after those that wait."""
        self.tasks.append(task)
        if len(self.tasks) == 1:
            self._next_round()

    def saw(self, frame: Frame, alive: Set[int]) -> None:
        """The live model has seen a frame, on which these objects are alive.

        Prompts of objects that were removed are given up: on a busy machine those of others would wait for them.
        """
        for task in [t for t in self.tasks[1:] if t.object_id not in alive]:
            self.tasks.remove(task)
            task.give_up()
        for task in self.tasks:
            task.follow(frame)
        self.first_is_gone |= bool(self.tasks) and self.tasks[0].object_id not in alive

    def collect(self) -> None:
        """Hand over what has caught up; called between two frames of the live model."""
        while self.tasks and (outcome := self.worker.take()) is not None:
            _, error = outcome
            if error is not None:
                raise error
            task = self.tasks[0]
            if self.first_is_gone:
                task.thin_out(0)
            elif self.rounds >= ROUNDS or self._is_superseded(task):
                task.thin_out(AT_ONCE)
            else:
                task.thin_out(max(self.begun_with // GAIN, AT_ONCE))
            if task.behind > AT_ONCE:
                self._next_round()
                continue
            task.finish()
            self.tasks.pop(0)
            self.rounds, self.first_is_gone = 0, False
            if self.tasks:
                self._next_round()

    def _is_superseded(self, task: FollowingTask) -> bool:
        """Whether another prompt of the same object waits: what this one gives is seen for a moment at most."""
        return any(t.object_id == task.object_id for t in self.tasks[1:])

    def _next_round(self) -> None:
        self.rounds += 1
        self.begun_with = max(self.tasks[0].behind, FIRST if self.rounds == 1 else 0)
        self.worker.start(self.tasks[0].step)
