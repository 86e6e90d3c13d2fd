"""`python -m stream.supervision.placing.agent < START`: runs the process of a camera on a host that the cluster chose.

START is a line of JSON, {"endpoint", "name", "keys"}: where the supervisor takes agents, what it calls this one, and
the folder of the graph's keys. The answer is a line, too: {"pid"} or {"error"}. The plan of the process comes over the
link.

The agent outlives the actor that has started it: an actor dies when Ray's head is gone for a minute, and the camera is
to go on. The end of the standard input says that the actor has died; the end of our output tells the actor that we
have. When nothing has come from the supervisor for `LOST_S`, the agent ends, and its process with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections import deque
from typing import Any

from stream.errors import StreamError
from stream.run_directory import RunDir
from stream.supervision.placing.link_messages import (
    TO_AGENT,
    Alive,
    Ended,
    Kill,
    Leave,
    Line,
    Run,
    Started,
    Tell,
    Terminate,
)
from stream.supervision.processes import NodeProcess
from stream.transport.links import Link
from stream.transport.sockets import Context

LOST_S = 5.0  # without a word from the supervisor: it is gone, or we are
ALIVE_S = 1.0
TICK_MS = 50
STOP_S = 2.0  # until a process that was asked to stop is killed
LINES_AT_ONCE = 200


class Agent:
    """Runs one process at a time, as the supervisor says."""

    def __init__(self, link: Link, folder: RunDir, address: str) -> None:
        self._link = link
        self._folder = folder
        self._address = address
        self._process: NodeProcess | None = None
        self._number = 0  # of the process that runs, or ran last
        self._lines: deque[str] = deque(maxlen=1000)  # of its output, which a thread reads
        self._heard_s = time.monotonic()
        self._alive_at_s = 0.0
        self._told_pid = 0
        self._leaving = False
        self.held = True  # the actor lives

    def serve(self) -> None:
        """Do what the supervisor says, until it has us leave or is gone."""
        while not self._leaving and time.monotonic() - self._heard_s < LOST_S:
            if (message := self._link.take(TICK_MS)) is not None:
                self._heard_s = time.monotonic()
                self._handle(message)
            if self.held and select.select([sys.stdin.fileno()], [], [], 0)[0]:
                self.held = bool(os.read(sys.stdin.fileno(), 4096))
                self._alive_at_s = 0.0
            self._tell()

    def leave(self) -> None:
        """Leave the loop; safe in a signal handler."""
        self._leaving = True

    def _handle(self, message: Any) -> None:
        match message:
            case Run():
                self._run(message)
            case Tell(plan=plan) if self._process is not None:
                self._process.restart_nodes(self._localised(plan))
            case Terminate() if self._process is not None:
                self._process.terminate()
            case Kill() if self._process is not None:
                self._process.kill()
            case Leave():
                self._leaving = True

    def _run(self, run: Run) -> None:
        """Start a process, after the one before."""
        self._end_process()
        self._number, self._told_pid = run.number, 0
        self._process = NodeProcess(run.name, self._folder.path, self._localised(run.plan), self._lines.append)

    def _localised(self, plan: str) -> str:
        """The plan with this host's address, and the folder of our sockets."""
        tree = json.loads(plan)
        for part in tree["parts"]:
            part["base"] = f"ipc://{self._folder.path}/"
            part["config"]["graph"]["address"] = self._address
        return json.dumps(tree)

    def _tell(self) -> None:
        """Say what has become of us and the process."""
        now_s = time.monotonic()
        if now_s >= self._alive_at_s:
            self._alive_at_s = now_s + ALIVE_S
            self._link.send(Alive(address=self._address, held=self.held))
        if self._process is None:
            return
        if not self._told_pid and self._process.pid:
            self._told_pid = self._process.pid
            self._link.send(Started(number=self._number, pid=self._told_pid))
        code = self._process.exit_code()
        if code is not None:
            self._process.close()  # its last lines have come then
        for _ in range(min(len(self._lines), LINES_AT_ONCE if code is None else 1000)):
            self._link.send(Line(text=self._lines.popleft()))
        if code is not None:
            self._process = None
            self._link.send(Ended(number=self._number, code=code))

    def _end_process(self) -> None:
        """Have the process stop, and kill it where it does not."""
        if self._process is None:
            return
        self._process.terminate()
        until_s = time.monotonic() + STOP_S
        while self._process.exit_code() is None and time.monotonic() < until_s:
            time.sleep(0.02)
        self._process.kill()
        self._process.close()
        self._process = None

    def close(self) -> None:
        """End the process; the supervisor is told, if it is there."""
        self._end_process()
        self._alive_at_s = 0.0
        self._tell()


def address_towards(endpoint: str) -> str:
    """This host's address, as the host of that endpoint sees it; IPv6 in brackets."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((host.strip("[]"), int(port)))
        address = str(probe.getsockname()[0])
    return f"[{address}]" if family == socket.AF_INET6 else address


def _leave_actor() -> None:
    """Go on in a process that is no child of the actor's: when Ray ends an actor, it kills its children."""
    if os.fork():
        os._exit(0)


def main() -> int:
    """The agent, from its start to its end."""
    start = json.loads(sys.stdin.buffer.raw.readline())  # type: ignore[union-attr]  # unbuffered: its end is watched
    answer = os.fdopen(os.dup(1), "w")  # stays open: that it closes tells the actor of our end
    silence = os.open(os.devnull, os.O_RDWR)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    try:
        address = address_towards(start["endpoint"])
        context = Context(start["keys"])
        folder = RunDir.create()
        link = Link(context, start["endpoint"], start["name"], TO_AGENT)
    except (StreamError, OSError) as error:
        print(json.dumps({"error": str(error)}), file=answer, flush=True)
        return 1
    with contextlib.suppress(OSError):  # Ray has made us nice (RAY_worker_niceness); only root may take that back
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    agent = Agent(link, folder, address)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: agent.leave())
    print(json.dumps({"pid": os.getpid()}), file=answer, flush=True)
    try:
        agent.serve()
    finally:
        agent.close()
        link.close()
        context.close()
        folder.remove()
    return 0


if __name__ == "__main__":
    _leave_actor()
    sys.exit(main())
