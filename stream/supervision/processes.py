"""What runs nodes: a process for one or several of them, or (for debugging) a thread for each."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from stream.errors import StreamError
from stream.runtime import StopFlag
from stream.supervision.forking import ForkedProcess, ForkServer

log = logging.getLogger(__name__)

PROJECT = Path(__file__).resolve().parents[2]

# Nodes share the cores: threads that spin while they wait for each other (OpenMP's default) take them from the others.
# Measured on 2 cores: a window of PIPS beside four busy processes took 3 to 22 s with it, 1.3 to 2.1 s without.
# OpenCV's threads spin, too; a frame of `lite` is as fast on one.
QUIET = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "OPENCV_FOR_THREADS_NUM": str(max(1, (os.cpu_count() or 1) // 2)),
}

# What glibc does by itself with blocks of a picture's size (it gives them back, and takes them anew) makes a process of
# pictures swell and shrink by 15 MB; what it has once taken is to be used again. By each of its threads: one that had
# memory of its own took 12 MB more when it was started again. Blocks above 32 MB still go back at once, and gaps
# now and then (stream/heartbeat.py).
MEMORY = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}

READABLE = {"PYTHONIOENCODING": "utf-8:backslashreplace"}  # what we read their lines as, wherever ours go
LONGEST_LINE = 1 << 16  # bytes of a line that are taken at once


def environment() -> dict[str, str]:
    """Of a process of nodes. Small matrices in many processes: threads of the BLAS only get into each other's way."""
    paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**QUIET, **MEMORY, **os.environ, **READABLE, "PYTHONPATH": os.pathsep.join(paths)}


class NodeProcess:
    """A process with the nodes that the graph puts into it, from its start to its end."""

    error: StreamError | None = None  # its nodes report theirs
    placed = True  # it has a host: this one
    where: dict[str, str] = {}  # which host, where it is another one

    def __init__(
        self,
        name: str,
        folder: Path,
        plan: str,
        write_line: Callable[[str], None],
        fork_server: ForkServer | None = None,
    ) -> None:
        """`plan`: what it runs (`launching.py`). With a fork server it is forked, else started from nothing."""
        self.name = name
        # One line is written to its input: the plan, which may hold a password and so is in no file. It stays open;
        # when it closes, the nodes know that we have died.
        self._process: subprocess.Popen[bytes] | ForkedProcess
        if fork_server is not None:
            self._process = fork_server.fork([name, str(folder)])
        else:
            self._process = subprocess.Popen(
                # -P: a file secrets.py in the folder that the user stands in is not the module of that name
                [sys.executable, "-P", "-m", "nodes", name, str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment(),
                start_new_session=True,  # Ctrl-C in the terminal is for us alone; we stop the nodes in order
            )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()  # still to be written
        self._lines.put(plan)
        self._writing = threading.Lock()
        self._write_line = write_line
        self._reader = threading.Thread(target=self._pass_lines, name=f"{name}-log", daemon=True)
        self._reader.start()

    def _pass_lines(self) -> None:
        assert self._process.stdout
        output = self._process.stdout
        self._write_next()
        for line in iter(lambda: output.readline(LONGEST_LINE), b""):
            text = line.decode(errors="replace").rstrip()
            if text:
                self._write_line(text)

    def _write_next(self) -> None:
        assert self._process.stdin
        with self._writing, contextlib.suppress(OSError, ValueError):  # it has died already
            self._process.stdin.write(self._lines.get().encode() + b"\n")
            self._process.stdin.flush()

    def restart_nodes(self, plan: str) -> None:
        """Have nodes of the process restarted, as the plan describes them."""
        self.tell(plan)

    def tell(self, line: str) -> None:
        """Write a line to its input, after those before."""
        self._lines.put(line)
        # its input has room for 64 KB; should the process not read, this thread waits, and nobody else
        threading.Thread(target=self._write_next, name=f"{self.name}-plan", daemon=True).start()

    @property
    def pid(self) -> int:
        """Its id; 0 where it is not known yet."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Its exit code once it has ended, below 0 for a signal; None while it runs."""
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
                with contextlib.suppress(OSError):  # of the config that it did not read
                    pipe.close()


class NodeThread:
    """A node in a thread of this process (`--threads`), from its start to its end."""

    placed = True
    where: dict[str, str] = {}

    def __init__(self, name: str, run: Callable[[StopFlag], None]) -> None:
        self.name = name
        self.pid = os.getpid()
        self.error: StreamError | None = None  # that it ended with
        self._run = run
        self._stop = StopFlag()
        self._code = 0
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()

    def _main(self) -> None:
        try:
            self._run(self._stop)
        except StreamError as error:
            self.error = error
            self._code = error.exit_code
        except BaseException:
            log.exception("%s died", self.name)
            self._code = 1

    def exit_code(self) -> int | None:
        """As of a process."""
        return None if self._thread.is_alive() else self._code

    def terminate(self) -> None:
        """Ask it to stop."""
        self._stop.set()

    def restart_nodes(self, plan: str) -> None:
        """A thread has one node, and is restarted as a whole."""
        raise NotImplementedError

    def kill(self) -> None:
        """A thread can't be killed; it is a daemon and ends with us."""
        self._stop.set()

    def close(self) -> None:
        """Nothing is held."""
