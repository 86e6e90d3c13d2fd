"""What the commands that measure have in common: errors as one line with their exit code, a report as JSON."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stream.errors import ConfigError, StreamError

Report = dict[str, Any]


def exit_code_of(name: str, act: Callable[[], int]) -> int:
    """What `act` answers, or the exit code of the error that it ends with, which is told in one line."""
    try:
        return act()
    except StreamError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("nodes", "stream", "tools"):
            raise
        print(f"{name}: error: this needs the package {error.name}, which is not installed here", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{name}: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def require_least(least: int, **numbers: int) -> None:
    """ConfigError that names the first of these options whose number is less."""
    for name, number in numbers.items():
        if number < least:
            raise ConfigError(f"--{name} is {number}; needs {least} or more")


def make_scratch(prefix: str, parent: Path | None) -> Path:
    """A new folder for a run's own files, in the one that --scratch names, or where the system has such."""
    if parent and not parent.is_dir():
        raise ConfigError(f"--scratch {parent}: the folder does not exist; make it first")
    return Path(tempfile.mkdtemp(prefix=prefix, dir=parent))


def run_report(
    name: str,
    options: argparse.Namespace,
    run: Callable[[argparse.Namespace], Report],
    show: Callable[[Report], None],
    outputs: Sequence[str] = ("json",),
) -> int:
    """Run, write the report to --json and show it; the exit code.

    `outputs`: the options that name files; one that can't be written is refused before the run.
    """

    def act() -> int:
        for output in outputs:
            path = getattr(options, output, None)
            if path and not path.parent.is_dir():
                raise ConfigError(f"--{output} {path}: the folder does not exist; make it first")
            if path and path.is_dir():
                raise ConfigError(f"--{output} {path}: that is a folder; name a file in it")
        report = run(options)
        if options.json:
            options.json.write_text(json.dumps(report, indent=1) + "\n")
        show(report)
        return 0

    return exit_code_of(name, act)
