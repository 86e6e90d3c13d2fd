"""`python -m nodes PROCESS RUN_DIR < PLAN`: the nodes of one process, as the supervisor starts it.

The plan is a line of JSON (`stream/supervision/launching.py`): the nodes, with the config of their camera. The input
stays open afterwards: its end says that the supervisor has died.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from nodes.start import PlannedNode, RunningNodes, read_plan
from stream.console.device_lines import DEVICE
from stream.console.logs import install
from stream.run_directory import FORK_SERVER, RunDir
from stream.runtime import StopFlag
from stream.transport.sockets import Context

if TYPE_CHECKING:
    from nodes.device import DeviceNodes

PR_SET_PDEATHSIG = 1  # of prctl(2)


def main(process: str, folder: str) -> int:
    """Run the nodes until their stop signal; the exit code says whether a restart can help (1) or not (2, 3)."""
    stop = StopFlag()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor gets Ctrl-C, and stops us in order
    _wake_when_orphaned()
    lines = _SupervisorLines(sys.stdin.fileno())
    line = lines.next()
    if not line:
        return 1
    nodes = read_plan(json.loads(line))
    first = nodes[0]
    threading.main_thread().name = first.name  # a log line names the node whose thread says it
    install(first.config.log, process, nodes=[node.name for node in nodes])
    orphaned = threading.Event()
    context = Context(first.config.graph.keys)
    running = _nodes_of(process, nodes, context, stop)
    if isinstance(running, RunningNodes):
        _end_at_once_while_loading(running, stop)
    _end_with_supervisor(running, lines, stop, orphaned, folder)
    code = running.run()
    context.close()
    if orphaned.is_set():
        RunDir(Path(folder)).remove()  # nobody else is left to do it
    return code


def _nodes_of(process: str, nodes: list[PlannedNode], context: Context, stop: StopFlag) -> RunningNodes | DeviceNodes:
    if process.startswith(DEVICE):
        from nodes.device import DeviceNodes

        return DeviceNodes(nodes, context, stop)
    return RunningNodes(nodes, context, stop)


def _end_at_once_while_loading(running: RunningNodes, stop: StopFlag) -> None:
    """Have a stop that comes while packages and models are loaded, which takes seconds, end the process there.

    It holds nothing yet that must be ended in order.
    """

    def end() -> None:
        stop.set()
        if not running.serving:
            os._exit(0)

    signal.signal(signal.SIGTERM, lambda *_: end())
    if stop.is_set():  # it came before
        end()


def _wake_when_orphaned() -> None:
    """Have the kernel continue this process when the supervisor dies: one that is stopped (SIGSTOP) could not see it.

    It then ends in order, as the others do; a kill would cost it the recording.
    """
    with contextlib.suppress(OSError, AttributeError):  # no Linux: a stopped one is left over
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGCONT), 0, 0, 0)


class _SupervisorLines:
    """The lines that the supervisor writes to our standard input: the plan, and what is to be done later."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""  # that was read beyond the last line

    def next(self) -> bytes:
        """Waits for one; empty when the supervisor has died."""
        while b"\n" not in self._rest:
            more = os.read(self._descriptor, 65536)
            if not more:
                return b""
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\n")
        return line + b"\n"


def _end_with_supervisor(
    running: RunningNodes | DeviceNodes,
    lines: _SupervisorLines,
    stop: StopFlag,
    orphaned: threading.Event,
    folder: str,
) -> None:
    """Stop when the supervisor's end of our standard input closes: it has died, however it died.

    Until then, each line that comes names nodes that are to be restarted, with their config of from then on.
    """

    def wait() -> None:
        while line := lines.next():
            running.take(json.loads(line))
        orphaned.set()
        stop.set()
        threading.Event().wait(2.5)  # a recording is closed meanwhile; a call that is stuck is not waited for
        RunDir(Path(folder)).remove()
        os._exit(1)

    if not sys.stdin.isatty():
        threading.Thread(target=wait, name="supervisor-watch", daemon=True).start()


if __name__ == "__main__":
    if sys.argv[1] == FORK_SERVER:
        from nodes.fork_server import serve

        sys.exit(serve(socket.socket(fileno=sys.stdin.fileno()), main))
    code = main(sys.argv[1], sys.argv[2])
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)  # a library thread that is stuck in a call (a camera being opened) can't hold the process back
