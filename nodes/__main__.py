"""`python -m nodes NAME RUN_DIR`: one node in a process of its own, as the supervisor starts it."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from nodes.start import main_of
from stream.errors import StreamError
from stream.logs import install
from stream.run_directory import RunDir
from stream.runtime import Endpoints, Runtime, fail
from stream.service_sockets import Outlet
from stream.settings.presets import build
from stream.sockets import Context

log = logging.getLogger("nodes")


def main(node: str, folder: str) -> int:
    """Run the node until its stop signal; the exit code says whether a restart can help (1) or not (2, 3)."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor gets Ctrl-C, and stops us in order
    config = build(json.loads((Path(folder) / "config.json").read_text()))
    install(config.log, node)
    orphaned = threading.Event()
    _end_with_supervisor(stop, orphaned, folder)
    context = Context(config.graph.keys)
    endpoints = Endpoints(config, f"ipc://{folder}/")
    try:
        main_of(node)(Runtime(node, config, endpoints, context, stop))
        code = 0
    except StreamError as error:
        log.debug("%s gives up", node, exc_info=True)
        outlet = Outlet(context, endpoints.endpoint("reports"))
        fail(node, outlet, error)
        outlet.close()
        code = error.exit_code
    except Exception as error:
        if config.log.debug:
            log.exception("%s died", node)
        else:
            log.error("died of %s: %s (--debug shows where)", type(error).__name__, error)
        code = 1
    context.close()
    if orphaned.is_set():
        RunDir(Path(folder)).remove()  # nobody else is left to do it
    return code


def _end_with_supervisor(stop: threading.Event, orphaned: threading.Event, folder: str) -> None:
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
        threading.Thread(target=wait, name="deadman", daemon=True).start()


if __name__ == "__main__":
    code = main(sys.argv[1], sys.argv[2])
    logging.shutdown()
    sys.stderr.flush()
    os._exit(code)  # a library thread that is stuck in a call (a camera being opened) can't hold the process back
