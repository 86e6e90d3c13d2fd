"""A node's process (or, for debugging, thread): started, watched, ended; and the rule for starting it again."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from stream.errors import StreamError

log = logging.getLogger(__name__)

PROJECT = Path(__file__).resolve().parents[2]

# Nodes share the cores: threads that spin while they wait for each other (OpenMP's default) take them from the others.
# Measured on 2 cores: a window of PIPS beside four busy processes took 3 to 22 s with it, 1.3 to 2.1 s without.
QUIET = {"OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}


class NodeProcess:
    """One life of a node in a process of its own."""

    def __init__(self, node: str, folder: Path, say: Callable[[str], None]) -> None:
        paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.node = node
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nodes", node, str(folder)],
            stdin=subprocess.PIPE,  # nothing is ever written: when it closes, the node knows that we have died
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Small matrices in many processes: threads of the BLAS only get into each other's way.
            env={**QUIET, **os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            start_new_session=True,  # Ctrl-C in the terminal is for us alone; we stop the nodes in order
        )
        self.pid = self._process.pid
        self._say = say
        self._reader = threading.Thread(target=self._pass_lines, name=f"{node}-log", daemon=True)
        self._reader.start()

    def _pass_lines(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            text = line.decode(errors="replace").rstrip()
            if text:
                self._say(text)

    def exit_code(self) -> int | None:
        """Its exit code once it has ended, below 0 for a signal; None while it lives."""
        return self._process.poll()

    def terminate(self) -> None:
        """Ask it to stop."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it, whatever it does."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._process.poll() is None:
            self._process.send_signal(number)

    def close(self) -> None:
        """Let go of a process that has ended: its last lines are passed on."""
        self._process.wait()
        self._reader.join(1.0)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class NodeThread:
    """One life of a node in a thread of this process (`--threads`)."""

    def __init__(
        self, node: str, run: Callable[[threading.Event], None], failed: Callable[[StreamError], None]
    ) -> None:
        self.node = node
        self.pid = os.getpid()
        self._run = run
        self._failed = failed
        self._stop = threading.Event()
        self._code: int | None = None
        self._thread = threading.Thread(target=self._main, name=node, daemon=True)
        self._thread.start()

    def _main(self) -> None:
        try:
            self._run(self._stop)
            self._code = 0
        except StreamError as error:
            self._failed(error)
            self._code = error.exit_code
        except BaseException:
            log.exception("%s died", self.node)
            self._code = 1

    def exit_code(self) -> int | None:
        """As of a process."""
        return None if self._thread.is_alive() else self._code

    def terminate(self) -> None:
        """Ask it to stop."""
        self._stop.set()

    def kill(self) -> None:
        """A thread can't be killed; it is a daemon and ends with us."""
        self._stop.set()

    def close(self) -> None:
        """Nothing is held."""


class RestartPolicy:
    """At most so many restarts in a sliding window of time (the numbers of the design: 5 in 60 s)."""

    def __init__(self, limit: int, window_s: float) -> None:
        self.limit = limit
        self.window_s = window_s
        self.total = 0
        self._times: deque[float] = deque()

    def allows(self, now_s: float) -> bool:
        """Count one more restart, unless that is more than the limit."""
        while self._times and now_s - self._times[0] > self.window_s:
            self._times.popleft()
        if len(self._times) >= self.limit:
            return False
        self._times.append(now_s)
        self.total += 1
        return True
