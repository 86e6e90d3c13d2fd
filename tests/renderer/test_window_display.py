"""The window on a real X display: what xdotool does in it, and the requests that come of it."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from running import until
from x_display import Display, x_display

from nodes.renderer.window import check_display
from stream.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60  # a busy machine takes its time

# Shows gray frames of 640x360 with objects 1 and 2; prints, as lines of JSON, requests, where the pointer moves, and
# the size of the window and the selection where they change. Of keys that come at once highgui keeps the newest one,
# so the test waits.
APP = """
import json, sys, time
sys.path[:0] = [".", "tests"]
import cv2
from renderer.box_masks import box_object, gray, masks_of
from nodes.renderer.window import Window

requests = []
window = Window("window under test", requests.append)
move = window.interaction.move
def tell_move(xy):
    print(json.dumps({"pointer": [round(v) for v in xy]}), flush=True)
    move(xy)
window.interaction.move = tell_move
objects = [box_object(1, (100, 80, 60, 40)), box_object(2, (250, 80, 60, 40))]
size, aspect = ((360, 320), (2, 1)) if "anamorphic" in sys.argv else ((360, 640), (1, 1))
view, selected, end = None, None, time.monotonic() + 120
while time.monotonic() < end:
    window.show(gray(size), masks_of(*objects, size=size), aspect)
    window.poll()
    for request in requests:
        print(json.dumps(request), flush=True)
        window.take_reply(request, {"id": 1, "result": {"object_id": 2} if request["method"] == "add_object" else {}})
        if request["method"] == "shutdown":
            window.close()
            sys.exit()
    requests.clear()
    if selected != (selected := window.interaction.selected):
        print(json.dumps({"selected": selected}), flush=True)
    if view != (view := cv2.getWindowImageRect("window under test")[2:]):
        print(json.dumps({"view": view}), flush=True)
        if "close" in sys.argv:
            cv2.destroyWindow("window under test")  # what highgui does when its cross is clicked
"""


class Desktop:
    """A display with the window on it."""

    def __init__(self, display: Display, app: subprocess.Popen[str]) -> None:
        self.do = display.do
        self.lines: queue.Queue[dict[str, Any]] = queue.Queue()
        self.pointer: tuple[int, int] | None = None  # where the window saw it last, frame px
        threading.Thread(target=self._read, args=(app,), daemon=True).start()

    def _read(self, app: subprocess.Popen[str]) -> None:
        assert app.stdout is not None
        for line in app.stdout:
            said = json.loads(line)
            if "pointer" in said:
                self.pointer = tuple(said["pointer"])
            else:
                self.lines.put(said)
        self.lines.put({"ended": True})

    def next(self) -> dict[str, Any]:
        try:
            return self.lines.get(timeout=PATIENCE_S)
        except queue.Empty:
            where = self.do("getmouselocation", "--shell", "search", "--name", "window under test", "getwindowgeometry")
            pytest.fail(f"nothing was done in {PATIENCE_S} s; the pointer was seen at {self.pointer}, and is: {where}")

    def click(self, x: int, y: int, button: int = 1) -> None:
        """Click at a place of the screen, once the window has seen the pointer there."""
        self.pointer = None
        self.do("mousemove", x + 1, y, "mousemove", x, y)  # a pointer that is there already doesn't move
        until(lambda: self.pointer is not None, "the pointer in the window")
        self.do("click", button)

    def wait_for_window(self) -> None:
        """Until the pointer is in the window when it is moved there: a click before that is nobody's."""
        outside = self._window_at(1300, 800)
        until(lambda: self._window_at(5, 5) != outside, "a window under the pointer")

    def _window_at(self, x: int, y: int) -> str:
        located = self.do("mousemove", x, y, "getmouselocation", "--shell")
        return next(line for line in located.splitlines() if line.startswith("WINDOW="))

    def wait_for_size(self, width: int, height: int) -> None:
        while (line := self.next()) != {"view": [width, height]}:
            assert "view" in line


@pytest.fixture
def desktop(request: pytest.FixtureRequest) -> Iterator[Desktop]:
    with x_display() as display, ExitStack() as stack:
        program = [sys.executable, "-c", APP, *getattr(request, "param", [])]
        pipe = subprocess.PIPE
        app = stack.enter_context(
            subprocess.Popen(program, cwd=ROOT, env=display.environment, stdout=pipe, stderr=pipe, text=True)
        )
        stack.callback(app.kill)
        made = Desktop(display, app)
        made.wait_for_size(640, 360)
        yield made
        assert app.stderr is not None
        complaint = app.stderr.read() if app.wait(PATIENCE_S) == 0 else f"exit {app.returncode}"
        assert complaint == "", "it ends by itself and says nothing"


def control_request(method: str, **params: Any) -> dict[str, Any]:
    return {"method": method, "params": params}


@pytest.mark.display
def test_what_is_done_in_the_window_becomes_exactly_these_requests(desktop: Desktop):
    desktop.wait_for_window()
    desktop.click(50, 60)
    assert desktop.next() == control_request("add_object", points=[[50, 60, 1]])
    assert desktop.next() == {"selected": 2}  # as the reply said
    desktop.click(320, 100, button=3)
    assert desktop.next() == control_request("refine_object", object_id=2, points=[[320, 100, 0]])
    desktop.do("key", "Escape")
    assert desktop.next() == {"selected": None}
    desktop.do("mousemove", 100, 200, "mousedown", 1, "mousemove", 150, 230, "mousemove", 220, 260, "mouseup", 1)
    assert desktop.next() == control_request("add_object", box=[100, 200, 220, 260])
    assert desktop.next() == {"selected": 2}
    desktop.do("key", "1")
    assert desktop.next() == {"selected": 1}
    desktop.click(120, 100)
    assert desktop.next() == control_request("refine_object", object_id=1, points=[[120, 100, 1]])
    desktop.do("key", "Tab")
    assert desktop.next() == {"selected": 2}
    desktop.do("key", "Delete")
    assert desktop.next() == control_request("remove_object", object_id=2)
    assert desktop.next() == {"selected": None}
    for key, method in (("space", "pause"), ("p", "resume"), ("s", "snapshot")):
        desktop.do("key", key)
        assert desktop.next() == control_request(method)

    window = desktop.do("search", "--name", "window under test").split()[-1]
    desktop.do("windowsize", window, 900, 700)  # the picture is 900x506 now, under a bar of 97 px
    desktop.wait_for_size(900, 700)
    desktop.wait_for_window()
    desktop.click(450, 40)  # on the bar: nothing
    desktop.click(450, 350)
    sent = desktop.next()
    assert sent["method"] == "add_object"
    assert sent["params"]["points"][0] == pytest.approx([320, 180, 1], abs=1)
    assert desktop.next() == {"selected": 2}

    desktop.do("key", "q")
    assert desktop.next() == control_request("shutdown")


@pytest.mark.display
@pytest.mark.parametrize("desktop", [["anamorphic"]], indirect=True)
def test_pixels_that_are_not_square_are_shown_wide_and_a_click_finds_theirs(desktop: Desktop):
    desktop.wait_for_window()
    desktop.click(400, 200)  # the picture of 320x360 is 640x360 on screen
    sent = desktop.next()
    assert sent["method"] == "add_object"
    assert sent["params"]["points"][0] == pytest.approx([200, 200, 1], abs=1)
    assert desktop.next() == {"selected": 2}
    desktop.do("key", "q")
    assert desktop.next() == control_request("shutdown")


@pytest.mark.display
@pytest.mark.parametrize("desktop", [["close"]], indirect=True)
def test_closing_the_window_ends_the_run_and_it_does_not_come_back(desktop: Desktop):
    assert desktop.next() == control_request("shutdown")
    assert desktop.next() == {"ended": True}


def test_without_a_display_the_error_says_what_is_needed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(ConfigError, match="DISPLAY is not set; start it on a desktop or with ssh -X"):
        check_display()
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    with pytest.raises(ConfigError, match="needs XWayland"):
        check_display()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only X ends the process")
def test_a_display_that_is_not_there_is_an_error_and_not_the_end_of_the_process(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DISPLAY", ":98765")
    with pytest.raises(ConfigError, match=r"can't open a window on DISPLAY=:98765 \(.*could not connect"):
        check_display()
