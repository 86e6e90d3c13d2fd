"""Pictures in, a process that pushes them to an RTSP server, and another one when that ends; nothing here waits.

PyAV holds Python's lock while it opens a connection: a server that hangs would stop every thread beside it. So all of
it happens in a process of its own, one for each connection, which is killed when it says nothing any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from nodes.renderer.rtsp_push.pictures import CONNECTED, FAILED, PUSHED, READY, Picture, write_picture
from stream.backoff import Backoff
from stream.settings.secrets import redact

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[3]
ANSWER_S = 10.0  # for a process to start, and for a server to take a picture
BACKOFF_S, BACKOFF_MAX_S, JITTER, HEALTHY_S = 0.5, 30.0, 0.2, 30.0
GOODBYE_S = 1.0
PIPE_BYTES = 1 << 20
F_SETPIPE_SZ = 1031  # of fcntl(2), Linux

COMMAND = (sys.executable, "-P", "-m", "nodes.renderer.rtsp_push")


class Pusher:
    """The newest picture wins; those in between are counted."""

    def __init__(self, url: str, clock: Callable[[], float]) -> None:
        self.pushed = 0  # pictures that a server has taken
        self.passed_over = 0  # that gave way to newer ones
        self.connections = 0
        self.connected = False
        self.error = ""  # of the last connection, until there is another
        self._url = url
        self._clock = clock
        self._newest: Picture | None = None
        self._change = threading.Condition()
        self._ending = False
        self._process: subprocess.Popen[bytes] | None = None
        self._answer_by_s: float | None = None  # when the process is to have answered; None: it waits for us
        self._warned = False  # of the outage that lasts
        self._thread = threading.Thread(target=self._run, name="rtsp-push", daemon=True)
        self._thread.start()

    def offer(self, picture: Picture) -> None:
        """Push this one, unless a newer one comes before there is time for it."""
        with self._change:
            self.passed_over += self._newest is not None
            self._newest = picture
            self._change.notify_all()

    def counters(self) -> dict[str, float]:
        """For the status, as they only grow."""
        return {
            "push_pushed": self.pushed,
            "push_passed_over": self.passed_over,
            "push_connections": self.connections,
        }

    def check(self) -> None:
        """Kill a process that hangs; called a few times a second."""
        by_s, process = self._answer_by_s, self._process
        if by_s is not None and process is not None and self._clock() > by_s:
            self._answer_by_s = None
            self.error = f"no answer within {ANSWER_S:g} s"
            process.kill()

    def close(self) -> None:
        """End the connection; may be called again."""
        with self._change:
            self._ending = True
            self._newest = None
            self._change.notify_all()
        self._thread.join(GOODBYE_S)
        if (process := self._process) is not None and process.poll() is None:
            process.kill()
            self._thread.join(GOODBYE_S)

    def _run(self) -> None:
        backoff = Backoff(BACKOFF_S, BACKOFF_MAX_S, JITTER, HEALTHY_S)
        while self._wait_for_picture():
            began_s = self._clock()
            failed = self._push_until_it_ends()
            self.connected = False
            if failed and not self._ending:
                self._say_failure()
                backoff.healthy(self._clock() - began_s)
                with self._change:
                    self._change.wait_for(lambda: self._ending, backoff.next_wait())

    def _wait_for_picture(self) -> bool:
        """Whether there is one; False: the end has come first."""
        with self._change:
            self._change.wait_for(lambda: self._ending or self._newest is not None)
            return not self._ending

    def _push_until_it_ends(self) -> bool:
        """One process from its start to its end; whether it failed."""
        self._answer_by_s = self._clock() + ANSWER_S
        process: subprocess.Popen[bytes] | None = None
        try:
            process = self._process = subprocess.Popen(
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                start_new_session=True,  # Ctrl-C in the terminal is for the supervisor alone
            )
            return self._serve(process)
        except OSError as error:  # none can be started, or it has ended while a picture was written
            self.error = self.error or str(error)
            return True
        finally:
            self._answer_by_s = None
            if process is not None:
                self._end(process)

    def _serve(self, process: subprocess.Popen[bytes]) -> bool:
        """Give the process what it asks for; whether it says that it has failed, or ends without a word."""
        assert process.stdin is not None
        assert process.stdout is not None
        descriptor = process.stdin.fileno()
        with contextlib.suppress(OSError):  # fewer turns for a large picture
            fcntl.fcntl(descriptor, F_SETPIPE_SZ, PIPE_BYTES)
        os.write(descriptor, f"{self._url}\n".encode())  # in no list of processes: it may hold a password
        shape = None
        for line in process.stdout:
            word, _, reason = line.rstrip().partition(b" ")
            if word == READY:
                self._answer_by_s = None
                picture = self._take(shape)
                if picture is None:
                    return False
                shape = (picture.rgb.shape, picture.pixel_aspect)
                self._answer_by_s = self._clock() + ANSWER_S
                write_picture(descriptor, picture)
            elif word == PUSHED:
                self.pushed += 1
            elif word == CONNECTED:
                self.connections += 1
                self.connected, self.error, self._warned = True, "", False
                log.info("pushing to %s", redact(self._url))
            elif word == FAILED:
                self.error = redact(reason.decode(errors="replace"))
                return True
        self.error = self.error or "the process that pushes has died"
        return True

    def _take(self, shape: object) -> Picture | None:
        """The newest picture, once there is one; None at the end, or where it needs another connection."""
        with self._change:
            self._change.wait_for(lambda: self._ending or self._newest is not None)
            picture = self._newest
            if self._ending or picture is None or shape not in (None, (picture.rgb.shape, picture.pixel_aspect)):
                return None
            self._newest = None
            return picture

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Let it say goodbye to the server, and see that it ends."""
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        try:
            process.wait(GOODBYE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _say_failure(self) -> None:
        """Once an outage: it is tried again for as long as it lasts."""
        level = logging.DEBUG if self._warned else logging.WARNING
        log.log(level, "nothing is pushed to %s (%s); it is tried again", redact(self._url), self.error)
        self._warned = True
