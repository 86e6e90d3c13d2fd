"""Chromium without a window, for what has to be seen in a real page. Playwright enters the tools here."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stream.errors import StreamError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",  # it may have to run as root, in a container, and sees nothing but our own page
    "--disable-dev-shm-usage",  # where /dev/shm is small
)


def executable() -> str:
    """Where Chromium is ($CHROMIUM names another place); empty where there is none."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")


def what_is_missing() -> str:
    """What a page can't be opened without here; empty where one can."""
    missing = []
    if importlib.util.find_spec("playwright") is None:
        missing.append("playwright (pip install -r requirements-dev.txt -c constraints.txt)")
    if not executable():
        missing.append("chromium (apt-get install chromium)")
    return " and ".join(missing)


@contextmanager
def launched(arguments: Sequence[str] = ()) -> Iterator[Browser]:
    """A browser, closed at the end; StreamError says what is missed where it can't be started."""
    if missing := what_is_missing():
        raise StreamError(f"a page can't be opened: not installed: {missing}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), headless=True, args=[*ARGUMENTS, *arguments])
        try:
            yield browser
        finally:
            browser.close()
