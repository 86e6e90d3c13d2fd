"""An X display for tests of windows, and xdotool on it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Display:
    """An X display of its own."""

    name: str  # as $DISPLAY has it

    @property
    def environment(self) -> dict[str, str]:
        """That of a program which shows something on it."""
        return {**os.environ, "DISPLAY": self.name}

    def do(self, *words: object) -> str:
        """What xdotool says to these words."""
        command = ["xdotool", *map(str, words)]
        return subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout


@contextmanager
def x_display() -> Iterator[Display]:
    """A display of 1400x900 px; the test is skipped, loudly, where a program for it is missing."""
    missing = [package for tool, package in (("Xvfb", "xvfb"), ("xdotool", "xdotool")) if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"the window is NOT tested: apt-get install {' '.join(missing)}")
    with ExitStack() as stack:
        number, server_end = os.pipe()
        # a server begins anew when its last client leaves, and turns away who comes meanwhile: -noreset
        screen = ["-noreset", "-nolisten", "tcp", "-screen", "0", "1400x900x24"]
        server = stack.enter_context(
            subprocess.Popen(
                ["Xvfb", "-displayfd", str(server_end), *screen], pass_fds=[server_end], stderr=subprocess.DEVNULL
            )
        )
        stack.callback(server.terminate)
        os.close(server_end)
        with os.fdopen(number) as answer:
            yield Display(f":{answer.readline().strip()}")
