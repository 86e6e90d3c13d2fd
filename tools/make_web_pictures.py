#!/usr/bin/env python3
"""A run of the demo scene with its page in Chromium in, the page's pictures out: docs/web.png and docs/web.gif."""

from __future__ import annotations

import argparse
import base64
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # tools run from any folder

if TYPE_CHECKING:  # loaded where they are needed, so that --help answers at once
    from playwright.sync_api import Page

    from nodes.capture.scene import DemoScene
    from stream.arrays import Array

WINDOW, SIZE = (1120, 630), (720, 405)  # px, of the page and of the animation
SECONDS = 6.0  # of the animation
PATIENCE_S = 60.0
NAMES = ("Planet", "Star", "Rock")
SCENE_FPS = 10  # a frame of the scene is one of the animation
SCENE = {"demo_frames": 10**6, "demo_objects": "false", "demo_fps": SCENE_FPS}
FOLLOWED_IOU = 0.6  # of its mask with the truth
WHOLE = 0.85  # of an object's largest area: nothing hides it
PHASE_STEP = 5  # frames between two that are looked at


def main(argv: list[str] | None = None) -> int:
    """Make the pictures; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs", help="where the pictures go (default: docs/)")
    parser.add_argument(
        "--scheme", choices=("light", "dark"), default="dark", help="the page's colours (default: dark)"
    )
    args = parser.parse_args(argv)
    from tools.chromium import launched
    from tools.make_pictures import write_gif

    with page_address() as url, launched() as browser:
        page = browser.new_page(viewport={"width": WINDOW[0], "height": WINDOW[1]}, color_scheme=args.scheme)
        page.goto(url)
        frames = film(page, args.folder / "web.png")
    gif = args.folder / "web.gif"
    write_gif(frames, gif)
    for path in (args.folder / "web.png", gif):
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    return 0


@contextmanager
def page_address() -> Iterator[str]:
    """The address of the page of a run that lasts as long as the block."""
    command = [sys.executable, str(ROOT / "run_stream.py"), "--no-dashboard", "--realtime", "--web", "127.0.0.1:0"]
    command += [word for key, value in SCENE.items() for word in ("--set", f"capture.{key}={value}")]
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        try:

            def found() -> str:
                match = re.search(r"the page is at (\S+)", Path(log.name).read_text())
                return match[1] if match else ""

            yield wait_for(found, "the page's address")
        finally:
            process.terminate()
            process.wait()


def film(page: Page, picture: Path) -> list[Array]:
    """Click the scene's objects one after the other, name them, and let it go on; the page as it looked meanwhile.

    `picture` is of a moment when all of them are seen and followed.
    """
    import cv2
    import numpy as np

    from nodes.capture.scene import PERIOD, DemoScene
    from tools.make_pictures import FPS

    scene, frames = DemoScene(), []
    largest = [max(areas) for areas in zip(*areas_by_phase(scene, PERIOD).values(), strict=True)]
    wait_for(lambda: state(page).get("banner") == "live", "a live picture")

    def shoot() -> None:
        data = np.frombuffer(page.screenshot(type="jpeg", quality=92), np.uint8)
        shown = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        frames.append(cv2.resize(shown, SIZE, interpolation=cv2.INTER_AREA))

    for label, name in enumerate(NAMES, start=1):
        before = len(state(page)["objects"])
        while len(state(page)["objects"]) == before:
            rows, columns = np.nonzero(scene.draw(state(page)["painted"]["frame_id"])[1] == label)
            if len(rows) > WHOLE * largest[label - 1]:
                click(page, float(columns.mean()), float(rows.mean()))
                shoot()
            page.wait_for_timeout(500)
        object_id = state(page)["objects"][-1]["id"]
        page.keyboard.press("Escape")
        page.locator(f"[data-testid='rename-{object_id}']").click()
        page.locator(f"[data-testid='rename-input-{object_id}']").fill(name)
        page.keyboard.press("Enter")
        shoot()
    page.mouse.move(WINDOW[0] / 3, WINDOW[1] - 5)
    phase = clearest_phase(scene, PERIOD, round(SECONDS * SCENE_FPS))
    ids = [o["id"] for o in state(page)["objects"]]

    def all_seen() -> bool:
        lost = [(i, label) for label, i in enumerate(ids, start=1) if not followed(page, scene, i, label)]
        for object_id, label in lost:
            correct(page, scene, object_id, label, largest[label - 1])
        return not lost and (state(page)["painted"]["frame_id"] - phase) % PERIOD < 2 * PHASE_STEP

    wait_for(all_seen, "a moment when all objects are seen", 3 * PATIENCE_S)
    page.screenshot(path=picture)
    began_s = time.monotonic()
    while (past_s := time.monotonic() - began_s) < SECONDS:
        shoot()
        page.wait_for_timeout(max(0.0, 1e3 * (len(frames) / FPS - past_s)) % (1e3 / FPS))
    return frames


def areas_by_phase(scene: DemoScene, period: int) -> dict[int, list[int]]:
    """Frame of the scene's round -> px of each object that are seen on it."""
    frames = {phase: scene.draw(phase)[1] for phase in range(0, period, PHASE_STEP)}
    return {phase: [int((truth == label).sum()) for label in (1, 2, 3)] for phase, truth in frames.items()}


def clearest_phase(scene: DemoScene, period: int, frames: int) -> int:
    """Where in the scene's round a stretch of so many frames begins whose objects are hidden least."""
    areas = areas_by_phase(scene, period)
    largest = [max(column) for column in zip(*areas.values(), strict=True)]
    shares = {p: min(area / most for area, most in zip(row, largest, strict=True)) for p, row in areas.items()}

    def least(begin: int) -> float:
        return float(min(shares[(begin + i) % period] for i in range(0, frames, PHASE_STEP)))

    return max(shares, key=least)


def followed(page: Page, scene: DemoScene, object_id: int, label: int) -> bool:
    """Whether the mask on the page is that of the scene's object."""
    import numpy as np

    found = page.evaluate("(id) => window.samptMask(id)", object_id)
    if not found or not found["area"]:
        return False
    x, y, width, height = found["bbox"]
    bits = np.unpackbits(np.frombuffer(base64.b64decode(found["rows"]), np.uint8))[: width * height]
    truth = scene.draw(found["frame_id"])[1] == label
    mask = np.zeros_like(truth)
    mask[y : y + height, x : x + width] = bits.reshape(height, width)
    return bool((mask & truth).sum() > FOLLOWED_IOU * (mask | truth).sum())


def correct(page: Page, scene: DemoScene, object_id: int, label: int, largest: int) -> None:
    """Where all of a lost object is seen, say that it is this one, as a person would."""
    import numpy as np

    rows, columns = np.nonzero(scene.draw(state(page)["painted"]["frame_id"])[1] == label)
    if len(rows) > WHOLE * largest:
        page.keyboard.press(str(object_id))
        click(page, float(columns.mean()), float(rows.mean()))
        page.keyboard.press("Escape")
        page.wait_for_timeout(1500)


def click(page: Page, x: float, y: float) -> None:
    """Click a position in frame px."""
    box, painted = page.locator("#picture").bounding_box(), state(page)["painted"]
    assert box is not None
    page.mouse.click(
        box["x"] + (x + 0.5) * box["width"] / painted["width"], box["y"] + (y + 0.5) * box["height"] / painted["height"]
    )


def state(page: Page) -> dict[str, Any]:
    """What the page tells of itself."""
    answer: dict[str, Any] = page.evaluate("window.samptState ? window.samptState() : {}")
    return answer


def wait_for(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """The first true answer; the program ends where none comes."""
    end_s = time.monotonic() + patience_s
    while not (answer := condition()):
        if time.monotonic() > end_s:
            raise SystemExit(f"waited {patience_s:g} s in vain for {what}")
        time.sleep(0.1)
    return answer


if __name__ == "__main__":
    sys.exit(main())
