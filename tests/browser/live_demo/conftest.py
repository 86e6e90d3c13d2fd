"""The live demo scene, whose truth is known, in a page: one run for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from browser.live_demo.scene import FPS, playing
from browser.live_page import LivePage, opened
from browser.live_run import LiveRun, enter
from tools.bench.web_viewers import Entrance


@pytest.fixture(scope="package")
def run(chromium: Any) -> Iterator[LiveRun]:
    with playing(FPS) as started:
        yield started


@pytest.fixture(scope="package")
def entrance(run: LiveRun) -> Entrance:
    return enter(run.url())


@pytest.fixture
def page(chromium: Any, run: LiveRun, entrance: Entrance) -> Iterator[LivePage]:
    """A tab that is live, before a scene in which nothing is followed."""
    run.remove_all()
    with opened(chromium, entrance) as tab:
        tab.open(entrance.url)
        tab.wait_for(lambda s: not s["objects"], "a page without objects")
        yield tab
