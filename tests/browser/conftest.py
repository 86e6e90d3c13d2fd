"""Chromium for the tests of the page, or a loud reason why they are skipped."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.chromium import launched, what_is_missing


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless browser, the same for all tests of a file."""
    if missing := what_is_missing():
        pytest.skip(f"NO TEST OF THE PAGE WAS RUN: not installed: {missing}")
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core, which `tools/axe_core` fetches."""
    path = Path(sys.prefix) / "axe-core" / "axe.min.js"
    if not path.is_file():
        pytest.skip(f"NOT TESTED WHETHER EVERYBODY CAN USE THE PAGE: no {path}; tools/axe_core VENV fetches it")
    return path.read_text("utf-8")
