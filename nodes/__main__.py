"""`python -m nodes PROCESS RUN_DIR < CONFIG`: the nodes of one process, as the supervisor starts it.

The config is a line of JSON. The input stays open afterwards: its end says that the supervisor has died.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from nodes.start import run_node
from stream.console.logs import install
from stream.errors import StreamError
from stream.run_directory import RunDir
from stream.runtime import StopFlag
from stream.settings.presets import build
from stream.topology import wiring
from stream.transport.sockets import Context

log = logging.getLogger("nodes")

PR_SET_PDEATHSIG = 1  # of prctl(2)


def main(process: str, folder: str) -> int:
    """Run the nodes until their stop signal; the exit code says whether a restart can help (1) or not (2, 3)."""
    stop = StopFlag()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor gets Ctrl-C, and stops us in order
    _wake_when_orphaned()
    line = _first_line(sys.stdin.fileno())
    if not line:
        return 1
    config = build(json.loads(line))
    graph = wiring(config)
    first, *others = graph.processes()[process]
    threading.main_thread().name = first  # a log line names the node whose thread says it
    install(config.log, process, nodes=(first, *others))
    orphaned = threading.Event()
    _end_with_supervisor(stop, orphaned, folder)
    context = Context(config.graph.keys)
    codes: list[int] = []

    def run(node: str) -> None:
        codes.append(_run_to_its_end(lambda: run_node(node, config, graph, f"ipc://{folder}/", context, stop), node))
        stop.set()  # one that ends takes the process with it, which is restarted as a whole

    threads = [threading.Thread(target=run, args=(node,), name=node, daemon=True) for node in others]
    for thread in threads:
        thread.start()
    run(first)  # on the main thread: a window wants that one
    for thread in threads:
        thread.join()
    context.close()
    if orphaned.is_set():
        RunDir(Path(folder)).remove()  # nobody else is left to do it
    return max(codes)


def _wake_when_orphaned() -> None:
    """Have the kernel continue this process when the supervisor dies: one that is stopped (SIGSTOP) could not see it.

    It then ends in order, as the others do; a kill would cost it the recording.
    """
    with contextlib.suppress(OSError, AttributeError):  # no Linux: a stopped one is left over
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGCONT), 0, 0, 0)


def _first_line(descriptor: int) -> bytes:
    """The line that the supervisor writes to our standard input: the config. Empty when it died before."""
    line = b""
    while not line.endswith(b"\n") and (more := os.read(descriptor, 65536)):
        line += more
    return line


def _run_to_its_end(run: Callable[[], None], node: str) -> int:
    """Run a node, and say in the log what it died of; its exit code."""
    try:
        run()
    except StreamError as error:
        log.debug("%s gives up", node, exc_info=True)
        return error.exit_code
    except Exception as error:
        log.error("died of %s: %s (--debug shows where)", type(error).__name__, error)
        log.debug("%s died", node, exc_info=True)
        return 1
    return 0


def _end_with_supervisor(stop: StopFlag, orphaned: threading.Event, folder: str) -> None:
    """Stop when the supervisor's end of our standard input closes: it has died, however it died."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        orphaned.set()
        stop.set()
        threading.Event().wait(2.5)  # a recording is closed meanwhile; a call that is stuck is not waited for
        RunDir(Path(folder)).remove()
        os._exit(1)

    if not sys.stdin.isatty():
        threading.Thread(target=wait, name="supervisor-watch", daemon=True).start()


if __name__ == "__main__":
    code = main(sys.argv[1], sys.argv[2])
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)  # a library thread that is stuck in a call (a camera being opened) can't hold the process back
