"""The supervisor's side of the process that talks to Ray (`ray_driver.py`): requests in, answers out; it may die."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
from typing import Any

from stream.supervision.processes import environment

CLOSE_S = 1.5
GONE = {"error": "the process that talks to Ray has ended: the cluster's head may be gone"}


class Driver:
    """One such process, from its start to its end."""

    def __init__(self, cluster: str) -> None:
        self.joined = False  # the cluster
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "stream.supervision.placing.ray_driver", cluster],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment(), "RAY_USAGE_STATS_ENABLED": "0"},
            start_new_session=True,  # Ctrl-C is for us alone
        )
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="ray-driver", daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                self._answers.put(json.loads(line))
        self._answers.put(GONE)

    def ask(self, **request: Any) -> None:
        """Send a request; one to a process that has ended is lost, as its answer says."""
        assert self._process.stdin
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()

    def take(self) -> dict[str, Any] | None:
        """The next answer, if one has come."""
        try:
            return self._answers.get_nowait()
        except queue.Empty:
            return None

    def close(self, wait_s: float = CLOSE_S) -> None:
        """Let it finish what it was asked for, for so long, and end it."""
        assert self._process.stdin
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(wait_s)
        self._process.kill()
        self._process.wait()
