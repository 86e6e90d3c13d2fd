"""The supervisor's side of the fork server: processes of nodes that share the pages of their packages.

A process that it has forked is the supervisor's own child (it adopts orphans) and looks like a `subprocess.Popen`.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from stream.run_directory import FORK_SERVER

log = logging.getLogger(__name__)

PR_SET_CHILD_SUBREAPER = 36  # of prctl(2): processes whose parent has ended become ours
ROOM = "-" * 300  # an argument in whose place those of the processes are written, for `ps`
ANSWER_S = 110.0  # it loads packages first, which took more than a minute on a machine with twenty busy processes
ANSWER_BYTES = 4096
END_S = 1.0  # how long the end of a process is waited for of which nobody knows yet whether it was forked


class ForkServer:
    """The process that others are forked from."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        """OSError where this system can't do it."""
        if not sys.platform.startswith("linux"):
            raise OSError("only Linux lets a process adopt orphans")
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "nodes", FORK_SERVER, str(folder), ROOM],  # -P as for every process
                stdin=theirs.fileno(),
                env=environment,
                start_new_session=True,
            )
        self._socket.setblocking(False)
        self._asked = 0
        self._pids: dict[int, int] = {}  # of processes that have been forked, by the number of their request

    @property
    def alive(self) -> bool:
        """Whether it can fork another."""
        return self._process.poll() is None

    def fork(self, arguments: Sequence[str]) -> ForkedProcess:
        """Start a process with these arguments after `python -m nodes`; OSError where that fails."""
        stdin_read, stdin_write = os.pipe2(os.O_CLOEXEC)
        stdout_read, stdout_write = os.pipe2(os.O_CLOEXEC)
        self._asked += 1
        try:
            request = json.dumps({"id": self._asked, "arguments": list(arguments)}).encode()
            socket.send_fds(self._socket, [request], [stdin_read, stdout_write])
        except OSError:
            os.close(stdin_write)
            os.close(stdout_read)
            raise
        finally:
            os.close(stdin_read)
            os.close(stdout_write)
        return ForkedProcess(self, self._asked, os.fdopen(stdin_write, "wb"), os.fdopen(stdout_read, "rb"))

    def take_pid(self, number: int) -> int:
        """The id of the process that a request asked for; 0 while it is not known. It is told once."""
        with contextlib.suppress(OSError, ValueError):  # no answer is there
            while answer := self._socket.recv(ANSWER_BYTES):
                told = json.loads(answer)
                self._pids[told["id"]] = told["pid"]
        return self._pids.pop(number, 0)

    def close(self) -> None:
        """End it; the processes that it has forked go on."""
        self._socket.close()
        self.kill()

    def kill(self) -> None:
        """End it, whatever it does: it holds nothing, and one that is stopped (SIGSTOP) hears no other signal."""
        self._process.kill()
        self._process.wait()


class ForkedProcess:
    """As a `subprocess.Popen` with pipes for its standard input and output."""

    def __init__(self, server: ForkServer, number: int, stdin: BinaryIO, stdout: BinaryIO) -> None:
        self.stdin, self.stdout = stdin, stdout
        self.returncode: int | None = None
        self._server = server
        self._number = number
        self._pid = 0  # 0: it is not known yet
        self._signals: list[int] = []  # that it gets as soon as it is there
        self._asked_s = time.monotonic()

    @property
    def pid(self) -> int:
        """Its id; 0 while it is not known."""
        if not self._pid and (pid := self._server.take_pid(self._number)):
            self._pid = pid
            for number in self._signals:
                os.kill(pid, number)
        return self._pid

    def poll(self) -> int | None:
        """Its exit code once it has ended, below 0 for a signal."""
        if self.returncode is None:
            if self.pid:
                self._wait(os.WNOHANG)
            elif not self._server.alive:
                self.returncode = 1
            elif time.monotonic() - self._asked_s > ANSWER_S:
                self._server.kill()  # it hangs, and would let the next ones wait, too
                self.returncode = 1
        return self.returncode

    def wait(self) -> int:
        """Its exit code, once it has ended; a server that does not say whether it has forked it is ended, too."""
        until_s = time.monotonic() + END_S
        while self.poll() is None:
            if not self._pid and time.monotonic() > until_s:
                self._server.kill()
            time.sleep(0.005)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, as soon as it is there."""
        if self.poll() is None:
            if self._pid:
                os.kill(self._pid, number)
            else:
                self._signals.append(number)

    def _wait(self, options: int) -> None:
        try:
            pid, status = os.waitpid(self._pid, options)
        except ChildProcessError:  # somebody else has taken its exit code
            self.returncode = 1
            return
        if pid:
            self.returncode = os.waitstatus_to_exitcode(status)
