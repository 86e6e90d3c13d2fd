"""Chromium for the tests of the page, or a loud reason why they are skipped."""

from __future__ import annotations

from collections.abc import Iterator
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
