"""Chromium for the tests of the page, or a loud reason why they are skipped."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from nodes.capture.scene import DemoScene
from tools.chromium import launched, what_is_missing

CAMERA_FPS = 8
CAMERA_FRAMES = 100


def pytest_itemcollected(item: pytest.Item) -> None:
    """One process tests all of the page: two Chromiums, each beside a live run, are more than two cores carry."""
    item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="package")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A headless browser, the same for all tests of the page; its camera plays a drawn clip."""
    if missing := what_is_missing():
        pytest.skip(f"NO TEST OF THE PAGE WAS RUN: not installed: {missing}")
    clip = tmp_path_factory.mktemp("camera") / "clip.y4m"
    scene = DemoScene(code=True)
    with clip.open("wb") as file:
        file.write(f"YUV4MPEG2 W640 H360 F{CAMERA_FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for index in range(CAMERA_FRAMES):
            file.write(b"FRAME\n" + cv2.cvtColor(scene.draw(index)[0], cv2.COLOR_RGB2YUV_I420).tobytes())
    with launched(["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={clip}"]) as browser:
        yield browser
    clip.unlink()  # 35 MB


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core, which `tools/axe_core` fetches."""
    path = Path(sys.prefix) / "axe-core" / "axe.min.js"
    if not path.is_file():
        pytest.skip(f"NOT TESTED WHETHER EVERYBODY CAN USE THE PAGE: no {path}; tools/axe_core VENV fetches it")
    return path.read_text("utf-8")
