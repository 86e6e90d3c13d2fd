"""A node's sign of life: what its runtime measures and what its stage has done, sent once a second.

At times a heartbeat also gives back the memory that its process has freed.
"""

from __future__ import annotations

import ctypes
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from msgspec.structs import replace

from stream.reports import Health, Progress
from stream.transport.service_sockets import Outlet
from stream.transport.sockets import Context, Refused
from stream.transport.topics import Publisher, Subscriber


class StepMeter:
    """How many steps of the feed a node has made, and the time that they took."""

    def __init__(self) -> None:
        self.steps = 0
        self.spent_s = 0.0  # inside steps
        self.round_began_s: float | None = None  # of the work under way; None while the node waits
        self._first_s: float | None = None  # when the first step began
        self._last_s = 0.0  # when the last one ended

    @property
    def active_s(self) -> float:
        """From the first step to the end of the last."""
        return self._last_s - self._first_s if self._first_s is not None else 0.0

    def count(self, step: Callable[[], bool]) -> None:
        """Make a step and account for it; an answer of False says that it was none."""
        began_s = time.monotonic()
        if step():
            self._add(began_s)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """What is done inside is one step."""
        began_s = time.monotonic()
        yield
        self._add(began_s)

    def _add(self, began_s: float) -> None:
        now_s = time.monotonic()
        self.steps += 1
        self.spent_s += now_s - began_s
        self._first_s, self._last_s = self._first_s or began_s, now_s

    def round_begins(self) -> None:
        """Whatever hangs from here on is noticed; also called again while a long step is known not to hang."""
        self.round_began_s = time.monotonic()

    def round_ends(self) -> None:
        """The node waits for messages."""
        self.round_began_s = None


class Heartbeat:
    """Sends the health of a node from a thread of its own, so that a long step does not silence it."""

    def __init__(
        self,
        node: str,
        outlet: Outlet,
        context: Context,
        period_s: float,
        meter: StepMeter,
        publishers: Sequence[Publisher],
        subscribers: Sequence[Subscriber],
    ) -> None:
        self.node = node
        self.outlet = outlet
        self._context = context
        self._refused = Refused()
        self.period_s = period_s
        self.meter = meter
        self.publishers = publishers
        self.subscribers = subscribers
        self._progress: Callable[[], Progress] = Progress
        self._last = (time.monotonic(), 0, 0.0)  # when, steps, spent_s at the last heartbeat
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"{threading.current_thread().name}-heartbeat", daemon=True
        )

    def start(self, progress: Callable[[], Progress]) -> None:
        """Begin; `progress` tells what the stage has done."""
        self._progress = progress
        self._thread.start()

    def stop(self) -> None:
        """Beat once more, with the final numbers, and end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2.0)
        else:
            self.outlet.close()

    def _run(self) -> None:
        while not self._stop.wait(self.period_s):
            self.outlet.send(self.health(self._progress()))
            freed_memory.give_back()
        self.outlet.send(self.health(replace(self._progress(), phase="stopped")))
        self.outlet.close()

    def health(self, progress: Progress) -> Health:
        """The state of the node now; rates since the last call."""
        meter, now_s = self.meter, time.monotonic()
        steps, spent_s, began_s = meter.steps, meter.spent_s, meter.round_began_s
        last_s, last_steps, last_spent_s = self._last
        self._last = (now_s, steps, spent_s)
        elapsed_s, done = max(now_s - last_s, 1e-6), steps - last_steps
        self._refused += self._context.take_refused()
        sockets: list[Publisher | Subscriber] = [*self.publishers, *self.subscribers]
        return Health(
            node=self.node,
            pid=os.getpid(),
            progress=progress,
            steps=steps,
            rate_hz=done / elapsed_s,
            busy=min(1.0, (spent_s - last_spent_s) / elapsed_s),
            step_ms=1e3 * (spent_s - last_spent_s) / done if done else 0.0,
            in_step_s=now_s - began_s if began_s is not None else 0.0,
            in_steps_s=spent_s,
            active_s=meter.active_s,
            rss_mb=resident_mb(),
            peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            malformed=sum(s.malformed for s in sockets),
            refused_keys=self._refused.keys,
            refused_connections=self._refused.connections,
            dropped=sum(p.dropped for p in self.publishers) + sum(s.lost for s in self.subscribers),
            transport_ms=sum(s.spent_ns for s in sockets) / 1e6,
        )


class FreedMemory:
    """Gives what this process has freed back to the system, every 20 s at most, however many of its nodes ask for it.

    glibc keeps it in gaps between blocks that are in use. Where pictures come and go, the gaps widen for many minutes:
    by 18 MB in five of them in a node that records, measured. Most times it takes less than 1 ms.
    """

    PERIOD_S = 20.0

    def __init__(self) -> None:
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, others have not
        self._trim: Callable[[int], int] = trim or (lambda _: 0)
        self._due_s = 0.0
        self._lock = threading.Lock()

    def give_back(self) -> bool:
        """Whether it was time to."""
        now_s = time.monotonic()
        with self._lock:
            if now_s < self._due_s:
                return False
            self._due_s = now_s + self.PERIOD_S
        self._trim(0)
        return True


freed_memory = FreedMemory()


def resident_mb() -> float:
    """Memory of this process that is in use now; 0 where no file can be opened, which must not end the heartbeat."""
    try:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize() / 2**20
    except OSError:
        return 0.0
