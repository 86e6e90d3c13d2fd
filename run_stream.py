#!/usr/bin/env python3
"""Follow objects through a live feed: `python run_stream.py --help`."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.command_line import CommandLine
    from stream.messages import Prompt
    from stream.settings.config import Config

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(argv: list[str]) -> int:
    """Run the command; the exit code is 0 done, 1 failed while running, 2 bad arguments, 3 could not open."""
    from stream.console.output import outputs
    from stream.console.process_arguments import hide_credentials

    hide_credentials(argv)
    with outputs():
        return _main(argv)


def _main(argv: list[str]) -> int:
    from stream.command_line import read_command_line
    from stream.errors import StreamError

    command_line = None
    try:
        command_line = read_command_line(argv)
        return check(command_line) if command_line.check else run(command_line, argv)
    except (StreamError, OSError) as error:
        if command_line is not None and command_line.config.log.debug:
            traceback.print_exc()
        print(f"run_stream: error: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, StreamError) else 1
    except Exception:
        traceback.print_exc()  # here, where credentials in it are hidden
        return 1


def check(command_line: CommandLine) -> int:
    """Say whether the command line could be carried out, without doing it."""
    from nodes.output_checks import check_outputs
    from stream.console.start_checks import check_start

    check_start(command_line.config)
    check_outputs(command_line.config)
    prompts(command_line)
    print("run_stream: the arguments and the config are fine")
    return 0


def read_again(argv: list[str]) -> Config:
    """The config that the command line asks for, as its file is now."""
    from stream.command_line import read_command_line

    return read_command_line(argv).config


def run(command_line: CommandLine, argv: list[str]) -> int:
    """Start the graph and stay with it to its end."""
    from nodes.output_checks import check_outputs
    from nodes.start import run_node
    from stream.command_line import announce, check_start, conclude
    from stream.console.logs import dropped_line, install
    from stream.console.output import Output
    from stream.supervision.dashboard import make_dashboard
    from stream.supervision.supervisor import make_supervisor
    from stream.topology import node_names

    check_start(command_line.config)
    check_outputs(command_line.config)
    dashboard = make_dashboard(command_line.config)
    names = node_names(command_line.config)  # with --threads they are threads of this process
    install(command_line.config.log, "graph", dashboard.write_line, nodes=names)
    if isinstance(sys.stderr, Output):
        sys.stderr.say_dropped_by(dropped_line(command_line.config.log, "graph"))
    announce(command_line.config)
    given = prompts(command_line)
    supervisor = make_supervisor(command_line.config, given, run_node, dashboard, lambda: read_again(argv))
    supervisor.stop_on(STOP_SIGNALS)
    try:
        with dashboard:
            supervisor.run()
    finally:
        exit_code = conclude(command_line, supervisor.summary(), failed=supervisor.error is not None)
    return exit_code


def prompts(command_line: CommandLine) -> list[Prompt]:
    """The prompts of the command line."""
    from nodes.capture.label_images import read_label_image
    from stream.console.prompt_arguments import parse_prompts

    masks = read_label_image(command_line.mask_file) if command_line.mask_file else {}
    return parse_prompts(command_line.points, command_line.boxes, masks)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)  # held back until the run can stop in order
    code = main(sys.argv[1:])
    # With --threads one may still be inside a call (a model that loads): C++ aborts when it is taken down under it.
    os._exit(code)
