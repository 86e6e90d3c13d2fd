"""What becomes of the page when its feed is lost, when its own camera is the feed, and when somebody logs in or out."""

from __future__ import annotations

import io
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rtsp_fixture import start_rtsp_server
from running import until

from browser.conftest import CAMERA_FRAMES
from browser.live_page import LivePage, opened
from browser.live_run import LiveRun, enter, iou, live_run
from nodes.capture.scene import DemoScene
from stream.messages import Prompt
from tools import ctl
from tools.bench.web_viewers import Entrance
from tools.evaluation.in_process import InProcessGraph, lossless

PLANET = 1
PASSWORDS = {"olga": ("operator", "steep-hill-morning"), "vera": ("viewer", "quiet-lake-evening")}

# The camera's track, so that a test can end it as a pulled plug does.
KEEP_TRACK = """
(() => {
  const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wishes) => {
    const stream = await ask(wishes);
    [window.cameraTrack] = stream.getVideoTracks();
    return stream;
  };
})();
"""


# --- a camera on the network, and who may do what ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def passwords(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("web") / "passwords"
    for name, (role, password) in PASSWORDS.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
            assert ctl.main(["passwd", str(path), name, "--role", role]) == 0
    return path


def log_in(page: LivePage, url: str, name: str) -> None:
    """Open the page, which leads to the form, and fill it in."""
    page.page.goto(url)
    page.page.fill("#name", name)
    page.page.fill("#password", PASSWORDS[name][1])
    page.page.click("button[type=submit]")


def test_a_camera_is_lost_and_found_again_while_people_look(chromium: Any, passwords: Path) -> None:
    with start_rtsp_server() as camera:
        words = ("--source", camera.url, "--point", "320,180", "--set", f"web.passwords={passwords}")
        with live_run(*words) as run, opened(chromium) as olga, opened(chromium) as vera:
            for page, name in ((olga, "olga"), (vera, "vera")):
                log_in(page, run.url(), name)
                page.wait_for(lambda s: s["banner"] == "live" and s["objects"], "a live picture with an object")
                assert page.state()["role"] == PASSWORDS[name][0]
            look_and_be_refused(vera)
            before = olga.state()
            olga.press("1")
            camera.kill()
            killed_s = time.monotonic()
            state = olga.wait_for(lambda s: s["banner"] == "offline", "the word that the camera is offline")
            print(f"a killed camera was offline in the page after {time.monotonic() - killed_s:.1f} s (5 at most)")
            assert state["stale"]
            assert re.search(r"offline", olga.test_id("banner").inner_text())
            with start_rtsp_server(camera.port):
                back_s = time.monotonic()
                for page in (olga, vera):
                    state = page.wait_for(lambda s: s["banner"] == "live" and not s["stale"], "a live picture again")
                    assert [o["id"] for o in state["objects"]] == [o["id"] for o in before["objects"]] == [1]
                    page.wait_for(lambda s: s["painted"]["session"] == 1, "the next session")
                print(f"it was back {time.monotonic() - back_s:.1f} s after it was there again")
                assert olga.state()["selected"] == 1
                log_out(olga, run)
            for text in (run.run.output, olga.page.url, vera.page.url):
                assert not any(password in text for _, password in PASSWORDS.values())
            lose_the_server(vera, run)


def look_and_be_refused(page: LivePage) -> None:
    """A viewer sees no tool, and what it sends in spite of that is refused."""
    assert not page.test_id("pause").is_visible()
    assert page.test_id("object-1").is_visible()
    x, y = page.place(100, 100)
    page.page.mouse.click(x, y)
    page.press("p")
    answers = page.page.evaluate(
        """() => new Promise((resolve) => {
          const socket = new WebSocket(`ws://${location.host}/ws`);
          const answers = [];
          socket.onmessage = ({ data }) => {
            const message = typeof data === "string" ? JSON.parse(data) : {};
            if (message.type === "reply") answers.push(message.error?.code ?? "done");
            if (answers.length === 3) { socket.close(); resolve(answers); }
          };
          socket.onopen = () => ["pause", "add_object", "stats"].forEach((method, id) =>
            socket.send(JSON.stringify({ type: "request", id, method, params: {} })));
        })"""
    )
    assert sorted(answers) == ["done", "forbidden", "forbidden"]
    page.wait_for(lambda s: s["banner"] == "live", "a feed that nobody has paused")


def log_out(page: LivePage, run: LiveRun) -> None:
    """After it, neither the page nor its cookie gets anything."""
    page.test_id("logout").click()
    page.page.wait_for_url(re.compile("/login"))
    page.page.goto(run.url())
    assert page.page.locator("#password").is_visible()


def lose_the_server(page: LivePage, run: LiveRun) -> None:
    """The page says so, and when it tries again."""
    web = run.ctl("stats")["nodes"]["web"]["pid"]
    for process in (web, run.run.process.pid):  # the server first: left alone it says that the run has ended
        os.kill(process, signal.SIGKILL)
    page.wait_for(lambda s: s["banner"] == "lost_connection" and s["stale"], "the word that the server is gone")
    until(lambda: "Next try in" in page.test_id("banner").inner_text(), "when it tries again")
    page.page.goto("about:blank")
    # Chromium itself writes an error for each attempt to connect, and no page can keep it from that.
    page.problems[:] = [p for p in page.problems if "net::ERR_" not in p and "WebSocket connection" not in p]


# --- the camera of the page -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run_of_page(chromium: Any) -> Iterator[LiveRun]:
    with live_run("--source", "browser", "--set", "publisher.frames=true") as run:
        yield run


@pytest.fixture(scope="module")
def entrance(run_of_page: LiveRun) -> Entrance:
    return enter(run_of_page.url())


def test_a_page_that_may_not_use_its_camera_says_so(chromium: Any, entrance: Entrance) -> None:
    with opened(chromium, entrance) as page:
        page.page.goto(entrance.url)
        page.wait_for(lambda s: s["banner"] == "needs_camera", "the word that a camera is needed")
        page.test_id("camera").click()
        until(lambda: "not allowed" in page.test_id("notices").inner_text(), "the word that it was not allowed")
        assert page.state()["page_camera"]["state"] == "off"


def test_the_camera_of_a_page_is_followed_like_any_other(
    chromium: Any, run_of_page: LiveRun, entrance: Entrance
) -> None:
    run, allowed = run_of_page, {"permissions": ["camera"]}
    with opened(chromium, entrance, **allowed) as page:
        turn_on(page, entrance)
        object_id = follow_the_planet(page, run)
        page.page.evaluate("window.cameraTrack.dispatchEvent(new Event('ended'))")
        page.wait_for(lambda s: s["banner"] in ("needs_camera", "offline"), "the word that the camera is gone")
        assert "unplugged" in page.test_id("notices").inner_text()
        # A machine too busy may take the page for silent before its last word has come.
        reasons = ("it was turned off or unplugged", "silent for")
        until(lambda: any(reason in run.run.output for reason in reasons), "why the camera is gone")
        session = page.state()["painted"]["session"]
        page.test_id("camera").click()
        state = page.wait_for(lambda s: s["banner"] == "live" and s["painted"]["session"] > session, "the next session")
        session = state["painted"]["session"]
    run.run.says("its page was closed")
    with opened(chromium, entrance, **allowed) as page:
        allowed_s = turn_on(page, entrance)
        state = page.wait_for(lambda s: s["painted"]["session"] > session, "the session after it")
        assert [o["id"] for o in state["objects"]] == [object_id]
        until(lambda: page.mask(object_id) is not None, "its mask")
        print(f"the mask was there {time.monotonic() - allowed_s:.1f} s after the camera was allowed (2 at most)")
        with opened(chromium, entrance, **allowed) as second:
            second.page.goto(entrance.url)
            second.wait_for(lambda s: s["banner"] == "live", "the first page's picture")
            second.test_id("camera").click()
            until(lambda: "another page is the camera" in second.test_id("notices").inner_text(), "the refusal")
        page.wait_for(lambda s: s["banner"] == "live", "the first camera's picture, which went on")


def turn_on(page: LivePage, entrance: Entrance) -> float:
    """Open the page and let it use the camera; when that was, s of the monotonic clock."""
    page.page.add_init_script(KEEP_TRACK)
    page.page.goto(entrance.url)
    page.wait_for(lambda s: s["connection"] == "open" and s["role"], "the connection")
    page.test_id("camera").click()
    allowed_s = time.monotonic()
    page.wait_for(lambda s: s["banner"] == "live", "the camera's picture")
    print(f"the camera's picture was there after {time.monotonic() - allowed_s:.1f} s")
    return allowed_s


def follow_the_planet(page: LivePage, run: LiveRun) -> int:
    """Click the planet; its masks are as good as those of the same clip read as a file. The object's id."""
    scene = DemoScene(code=True)

    def compared() -> int:
        until(lambda: 0 <= page.code() < CAMERA_FRAMES // 3, "the beginning of the clip")
        asked = len(page.requests("add_object"))
        page.page.mouse.move(*page.place(*centre(scene, page.code())))
        page.page.mouse.down()
        first = page.state()["painted"]["frame_id"]
        page.page.mouse.up()
        try:
            until(lambda: len(page.requests("add_object")) > asked, "the click's request", 5.0)
        except AssertionError:
            return 0  # a machine too busy: the picture was late, and what says so lay over it
        state = page.wait_for(lambda s: s["objects"], "an object")
        object_id = int(state["objects"][-1]["id"])
        (point,) = page.requests("add_object")[-1]["points"]
        masks = run.masks_of(object_id)
        later = [next(masks) for _ in range(8)]
        ids = range(first, later[-1][0] + 1)
        codes = [run.codes.get(i, -1) if i in run.published else -1 for i in ids]
        if min(codes) < 0 or codes != sorted(codes):
            run.remove_all()  # a machine too busy has passed frames over, or the clip has begun again
            page.wait_for(lambda s: not s["objects"], "a page without objects")
            return 0
        prompt = Prompt(object_id=1, xy=np.array([point[:2]], np.float32), labels=np.ones(1, np.uint8))
        graph, file_ious = InProcessGraph(lossless("lite")), {}
        for frame_id in ids:
            rgb, truth = scene.draw(run.codes[frame_id])
            (answer,) = graph.step(rgb, [prompt] if frame_id == first else [])
            file_ious[frame_id] = iou(answer.label_image() == 1, truth == PLANET)
        live = np.mean([iou(mask, scene.draw(run.codes[i])[1] == PLANET) for i, mask in later])
        assert live >= np.mean([file_ious[i] for i, _ in later]) - 0.03
        return object_id

    return int(until(compared, "a click while no frame was passed over", 180.0))


def centre(scene: DemoScene, index: int) -> tuple[float, float]:
    """Where the planet is."""
    rows, columns = np.nonzero(scene.draw(index)[1] == PLANET)
    return float(columns.mean()), float(rows.mean())
