#!/usr/bin/env python3
"""Serve the page of a run from here: its pictures, masks and status come by ZeroMQ, clicks go to its control socket.

python tools/view.py tcp://192.168.1.10:5556 --control tcp://192.168.1.10:5557 --keys viewer-keys
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from stream.errors import ConfigError, StreamError
from stream.settings.web_access import DEFAULT_ENDPOINT

log = logging.getLogger(__name__)


def main(argv: list[str]) -> int:
    """Run the command; the exit code is 0 once it is stopped, 2 for bad arguments, 3 where it could not begin."""
    from stream.console.output import outputs
    from stream.console.process_arguments import hide_credentials

    hide_credentials(argv)
    with outputs():
        try:
            run(_parser().parse_args(argv))
        except StreamError as error:
            print(f"view: error: {error}", file=sys.stderr)
            return error.exit_code
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise ConfigError(f"{message}; `python tools/view.py --help` lists the arguments")


def _parser() -> argparse.ArgumentParser:
    p = _Parser(prog="view.py", allow_abbrev=False, description="Serve the page of a run that goes on elsewhere.")
    p.add_argument(
        "endpoint",
        nargs="?",
        help="where the run publishes (with --web, or publisher.scenes: true); default: the run on this machine",
    )
    p.add_argument("--control", metavar="ENDPOINT", help="its control endpoint; without it one can only look")
    p.add_argument("--camera", metavar="NAME", help="which run, where several are going on on this machine")
    p.add_argument("--keys", default="", metavar="DIR", help="a key pair of the graph, where it asks for one")
    p.add_argument("--web", default=DEFAULT_ENDPOINT, metavar="HOST:PORT", help=f"of the page ({DEFAULT_ENDPOINT})")
    p.add_argument("--passwords", default="", metavar="FILE", help="as `tools/ctl.py passwd` writes it")
    p.add_argument("--certificate", default="", metavar="FILE", help="PEM, for HTTPS")
    p.add_argument("--key", default="", metavar="FILE", help="PEM, of the certificate")
    p.add_argument("--host-name", action="append", default=[], metavar="NAME", help="that the page is asked for by")
    p.add_argument("--metrics-token", default="", metavar="FILE", help="its first line opens /metrics")
    p.add_argument("--insecure", action="store_true", help="let other machines in without passwords and HTTPS")
    return p


def run(arguments: argparse.Namespace) -> None:
    """Serve until a signal comes; StreamError where that can't begin."""
    from stream.console.logs import install
    from stream.settings.config import Log, Web
    from stream.settings.web_access import check_web, check_web_files, check_web_packages

    web = Web(
        endpoint=arguments.web,
        passwords=arguments.passwords,
        certificate=arguments.certificate,
        key=arguments.key,
        insecure=arguments.insecure,
        hosts=tuple(arguments.host_name),
        metrics_token=arguments.metrics_token,
    )
    check_web(web, insecure=False)
    check_web_files(web)
    check_web_packages()
    publish, control = _endpoints(arguments)

    from nodes.web.hub import ALWAYS
    from nodes.web.relay import Listening, NoControl, Requests
    from nodes.web.server import WebServer
    from stream.transport.service_sockets import RequestClient, subscribe

    install(Log(), "view")
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    topics = [f"{topic}{arguments.camera or ''}" for topic in ALWAYS]
    folder = tempfile.TemporaryDirectory(prefix="sam-pt-view-")  # of mode 700
    listening = Listening(subscribe(publish, topics, arguments.keys))
    requests = Requests(RequestClient(control, arguments.keys) if control else NoControl())
    try:
        server = WebServer(web, listening, requests, [], Path(folder.name))
    except StreamError:
        folder.cleanup()
        listening.close()
        requests.close()
        raise
    log.info("the page is at %s", server.start())
    while not stopped.wait(0.5) and server.serving:
        pass
    server.stop("the server was stopped")
    folder.cleanup()


def _endpoints(arguments: argparse.Namespace) -> tuple[str, str]:
    """Where the run publishes and takes requests ("": nowhere)."""
    from stream.run_directory import find_run
    from stream.settings.addresses import check_endpoint

    publish, control = arguments.endpoint, arguments.control or ""
    if publish is None:
        found = find_run(arguments.camera)
        if not found.publish_endpoint:
            raise ConfigError("the run has no publisher yet; try again when it has begun")
        publish, control = found.publish_endpoint, control or found.control_endpoint
    for key, endpoint in (("ENDPOINT", publish), ("--control", control)):
        if endpoint:  # connecting opens nothing to others
            check_endpoint(key, endpoint, secured=bool(arguments.keys), insecure=True, any_port=False)
    return publish, control


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
