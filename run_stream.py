#!/usr/bin/env python3
"""Follow objects through a live feed: `python run_stream.py --help`."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.command_line import CommandLine
    from stream.messages import Prompt


STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(argv: list[str]) -> int:
    """Run the command; the exit code is 0 done, 1 failed while running, 2 bad arguments, 3 could not open."""
    from stream.command_line import read_command_line
    from stream.errors import StreamError
    from stream.settings.addresses import redact

    order = None
    try:
        order = read_command_line(argv)
        return check(order) if order.check else run(order)
    except (StreamError, OSError) as error:
        if order is not None and order.config.log.debug:
            raise
        print(f"run_stream: error: {redact(str(error))}", file=sys.stderr)
        return error.exit_code if isinstance(error, StreamError) else 1


def check(order: CommandLine) -> int:
    """Say whether the order could be carried out, without doing it."""
    from nodes.renderer.sinks import check_sinks
    from stream.command_line import check_start

    check_start(order.config)
    check_sinks(order.config.renderer)
    prompts(order)
    print("run_stream: the arguments and the config are fine")
    return 0


def run(order: CommandLine) -> int:
    """Start the graph and stay with it to its end."""
    from nodes.start import main_of
    from stream.command_line import announce, check_start, conclude
    from stream.logs import install
    from stream.supervision.dashboard import make_dashboard
    from stream.supervision.supervisor import Supervisor

    check_start(order.config)
    dashboard = make_dashboard(order.config)
    install(order.config.log, "graph", dashboard.say)
    announce(order.config)
    supervisor = Supervisor(order.config, prompts(order), main_of, dashboard)
    supervisor.obey(STOP_SIGNALS)
    try:
        with dashboard:
            supervisor.run()
    finally:
        conclude(order, supervisor.summary(), failed=supervisor.error is not None)
    return 0


def prompts(order: CommandLine) -> list[Prompt]:
    """The prompts of the command line."""
    from nodes.capture.label_images import read_label_image
    from stream.prompt_arguments import parse_prompts

    return parse_prompts(order.points, order.boxes, read_label_image(order.mask_file) if order.mask_file else {})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # held back until the run can stop in order
    sys.exit(main(sys.argv[1:]))
