"""The arguments that this process was started with: credentials in them are hidden, also from `ps`."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from stream.settings.secrets import has_credentials, redact, remember

_SOURCE = re.compile(r"(--source|capture\.source)=(.*)", re.DOTALL)
_USER_INFO = re.compile(r"(?:^|/|^\w+:)([^/:@]+:.*@.*)", re.DOTALL)

ARGUMENTS_BEGIN, ARGUMENTS_END = 47, 48  # fields of /proc/PID/stat, from 0


def hide_credentials(arguments: Sequence[str]) -> None:
    """Hide the credentials of `arguments` in all that is redacted from now on, and in the list of processes."""
    for argument in (*arguments, *_mistyped(arguments)):
        remember(argument)
    if any(has_credentials(argument) for argument in arguments):
        try:
            _overwrite()
        except (OSError, ValueError, IndexError):
            pass  # no Linux, or no /proc: the docs say how to give a password otherwise


def _mistyped(arguments: Sequence[str]) -> list[str]:
    """Sources that lack their scheme, or part of it (`rtsp:/user:password@host`), with one: errors repeat them."""
    sources = [text for option, text in pairwise(arguments) if option == "--source"]
    sources += [match[2] for argument in arguments if (match := _SOURCE.match(argument))]
    found = (_USER_INFO.search(source) for source in sources if "://" not in source and not os.path.exists(source))
    return [f"rtsp://{match[1]}" for match in found if match]


def overwrite_arguments(arguments: Sequence[str]) -> None:
    """Show these arguments in the list of processes, as far as those that the process was started with left room."""
    import ctypes

    with contextlib.suppress(OSError, ValueError, IndexError):  # no Linux, or no /proc
        begin, end = _bounds()
        text = b"\0".join(map(os.fsencode, arguments))
        ctypes.memmove(begin, text[: end - begin - 1].ljust(end - begin, b"\0"), end - begin)


def _bounds() -> tuple[int, int]:
    """Where the arguments lie in our memory; ValueError where the kernel does not say."""
    fields = Path("/proc/self/stat").read_text().rpartition(") ")[2].split()
    begin, end = (int(fields[i - 2]) for i in (ARGUMENTS_BEGIN, ARGUMENTS_END))
    if not 0 < begin < end:
        raise ValueError("the kernel does not say where the arguments are")
    return begin, end


def _overwrite() -> None:
    """Write over the arguments where the kernel reads them for `ps`: in our own memory. Lengths can't change."""
    import ctypes

    begin, end = _bounds()
    arguments = ctypes.string_at(begin, end - begin).split(b"\0")
    hidden = b"\0".join(_hidden(argument) for argument in arguments)
    ctypes.memmove(begin, hidden, end - begin)


def _hidden(argument: bytes) -> bytes:
    """The argument without credentials, of the same length."""
    text = os.fsdecode(argument)
    if not has_credentials(text):
        return argument
    shown = os.fsencode(redact(text))
    missing = max(0, len(argument) - len(shown))
    return shown.replace(b"***", b"***" + b"*" * missing, 1)[: len(argument)].ljust(len(argument), b"*")
