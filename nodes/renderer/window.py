"""Drawn pictures in, a window on the desktop out, and what is done in it as control requests.

The shell around `Interaction`: it fits the picture into the window as it is now (so text and rubber band stay crisp and
a resized window needs no arithmetic of highgui's own), and turns its pixels and key codes into frame px and names.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from nodes.renderer.interaction import Interaction, Request
from nodes.renderer.letterbox import fit
from stream.arrays import Array
from stream.drawing.ink import cap_height, chip_size, write_chip
from stream.errors import ConfigError
from stream.geometry import Letterbox
from stream.messages import Masks

FIRST_LONGER_SIDE = (640, 1280)  # px: a small picture is opened larger, a huge one smaller
KEYS = {9: "tab", 27: "escape", 127: "delete", 0xFFFF: "delete", 0x2E0000: "delete"}  # Qt; GTK; Windows
EVENTS_A_POLL = 16  # so that a key held down can't keep the feed waiting
FRAME_WIDTH = 2  # px, of the rubber band and of the corners around the selected object


class Window:
    """The window: `show` a picture, `poll` for what was done in it. All calls come from one thread."""

    def __init__(self, title: str, send: Callable[[Request], None]) -> None:
        check_display()
        self.title = title
        self.interaction = Interaction(send)
        self._rgb: Array | None = None
        self._pixel_aspect = 1.0  # width to height
        self._boxes: dict[int, tuple[int, int, int, int]] = {}  # object id -> bbox, frame px
        self._letterbox = Letterbox((1, 1), (1, 1))
        self._shown: tuple[object, ...] = ()  # what the canvas on screen was drawn from
        self._open = False

    def show(self, rgb: Array, masks: Masks | None = None, pixel_aspect: tuple[int, int] = (1, 1)) -> None:
        """Put a (H, W, 3) uint8 picture on screen, its pixels as wide to high as `pixel_aspect` says.

        `masks` holds the objects that can be selected.
        """
        objects = masks.objects if masks is not None else ()
        self._rgb = rgb
        self._pixel_aspect = pixel_aspect[0] / pixel_aspect[1]
        self._boxes = {o.object_id: o.bbox for o in objects if o.area > 0}
        self.interaction.take_frame((rgb.shape[0], rgb.shape[1]), [o.object_id for o in objects])
        self._notice_closing()
        if not self._open and not self.interaction.quitting:  # what was closed is not opened for the run's last frames
            self._create(self._square_size())
        self._draw(self._state())

    def poll(self) -> None:
        """Handle mouse and keys, and draw again where they, or a new window size, changed what is to be seen."""
        if not self._open:
            return
        for _ in range(EVENTS_A_POLL):
            code = cv2.waitKeyEx(1)
            if code < 0:
                break
            self.interaction.key(KEYS.get(code) or chr(code & 0xFF))
        self._notice_closing()
        state = self._state()
        if state != self._shown:
            self._draw(state)

    def take_reply(self, request: Request, reply: dict[str, Any]) -> None:
        """Take the reply to a request."""
        self.interaction.take_reply(request, reply)

    def close(self) -> None:
        """Take the window off the screen."""
        if self._open and _is_open(self.title):
            cv2.destroyWindow(self.title)
            cv2.waitKeyEx(1)  # highgui closes it only in its event loop
        self._open = False

    def _notice_closing(self) -> None:
        """Whoever closes the window wants the run to end."""
        if self._open and not _is_open(self.title):
            self._open = False
            self.interaction.quit()

    def _create(self, size: tuple[int, int]) -> None:
        longer = min(max(*size, FIRST_LONGER_SIDE[0]), FIRST_LONGER_SIDE[1])
        flags = cv2.WINDOW_NORMAL | cv2.WINDOW_FREERATIO | cv2.WINDOW_GUI_NORMAL  # we keep the ratio: see `_draw`
        cv2.namedWindow(self.title, flags)
        cv2.resizeWindow(self.title, round(size[1] * longer / max(size)), round(size[0] * longer / max(size)))
        cv2.setMouseCallback(self.title, self._mouse)
        self._open = True

    def _mouse(self, event: int, x: int, y: int, _flags: int, _data: object) -> None:
        xy = self._letterbox.to_frame(x, y)
        if event in (cv2.EVENT_LBUTTONDOWN, cv2.EVENT_LBUTTONDBLCLK):
            self.interaction.press("left", xy)
        elif event in (cv2.EVENT_RBUTTONDOWN, cv2.EVENT_RBUTTONDBLCLK):
            self.interaction.press("right", xy)
        elif event == cv2.EVENT_MOUSEMOVE:
            self.interaction.move(xy)
        elif event == cv2.EVENT_LBUTTONUP:
            self.interaction.release(xy)

    def _square_size(self) -> tuple[int, int]:
        """Height and width of the picture once its pixels are square."""
        assert self._rgb is not None
        return self._rgb.shape[0], max(1, round(self._rgb.shape[1] * self._pixel_aspect))

    def _state(self) -> tuple[object, ...]:
        """What the canvas depends on beside the picture."""
        view = cv2.getWindowImageRect(self.title)[2:] if self._open else (0, 0)
        i = self.interaction
        return view, i.box, i.selected, tuple(i.help_lines())

    def _draw(self, state: tuple[object, ...]) -> None:
        if not self._open or self._rgb is None:
            return
        width, height = cv2.getWindowImageRect(self.title)[2:]
        canvas_size = (height, width) if min(width, height) > 16 else self._square_size()
        self._letterbox = Letterbox((self._rgb.shape[0], self._rgb.shape[1]), canvas_size, self._pixel_aspect)
        self.interaction.set_scale(min(self._letterbox.scale))
        canvas = cv2.cvtColor(fit(self._rgb, self._letterbox), cv2.COLOR_RGB2BGR)
        overlay(canvas, self.interaction, self._boxes, self._letterbox)
        cv2.imshow(self.title, canvas)
        self._shown = state


def overlay(
    canvas: Array, interaction: Interaction, boxes: dict[int, tuple[int, int, int, int]], place: Letterbox
) -> None:
    """Draw the rubber band, corners around the selected object and the help line on the canvas, in place.

    All of it is black and white, so that the canvas may be RGB or BGR.
    """
    if interaction.box is not None:
        x1, y1, x2, y2 = interaction.box
        _corners(canvas, place.to_canvas(x1, y1), place.to_canvas(x2, y2), arm=None)
    if interaction.selected in boxes:
        x, y, width, height = boxes[interaction.selected]
        gap = 6 / min(place.scale)
        low, high = place.to_canvas(x - gap, y - gap), place.to_canvas(x + width - 1 + gap, y + height - 1 + gap)
        _corners(canvas, low, high, arm=max(8, min(canvas.shape[:2]) // 30))
    cap = cap_height(place.size)
    lines = interaction.help_lines()
    for line in lines:
        height, width = chip_size(line, cap)
        if width <= canvas.shape[1] - cap or line == lines[-1]:
            corner = (max(0, (canvas.shape[1] - width) // 2), canvas.shape[0] - height - cap // 2)
            write_chip(canvas, line, cap, corner)
            break


def _corners(canvas: Array, low: tuple[float, float], high: tuple[float, float], arm: int | None) -> None:
    """A frame from corner to corner, white on a dark rim; with an `arm` in px only that much of each corner."""
    (x1, y1), (x2, y2) = ((round(x), round(y)) for x, y in (low, high))
    across, down = (x2 - x1, y2 - y1) if arm is None else (min(arm, (x2 - x1) // 3), min(arm, (y2 - y1) // 3))
    strokes = []
    for x, y, right, below in ((x1, y1, 1, 1), (x2, y1, -1, 1), (x2, y2, -1, -1), (x1, y2, 1, -1)):
        strokes.append(np.array([(x + right * across, y), (x, y), (x, y + below * down)], np.int32))
    cv2.polylines(canvas, strokes, False, (16, 16, 16), FRAME_WIDTH + 2, cv2.LINE_AA)
    cv2.polylines(canvas, strokes, False, (255, 255, 255), FRAME_WIDTH, cv2.LINE_AA)


def _is_open(title: str) -> bool:
    try:
        return bool(cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1)
    except cv2.error:  # Qt forgets everything once the last window was closed
        return False


def check_display() -> None:
    """Make sure that a window can be opened; ConfigError says what is missing.

    It is tried in another process: Qt ends the process that asks for a display which is not there, or lets nobody in.
    """
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        wayland = " (Wayland alone is not enough: it needs XWayland)" if os.environ.get("WAYLAND_DISPLAY") else ""
        raise ConfigError(f"--window: DISPLAY is not set{wayland}; start it on a desktop or with ssh -X")
    attempt = "import cv2, os; cv2.namedWindow('SAM-PT Live'); os._exit(0)"
    import subprocess  # only where there is a window

    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", attempt], capture_output=True, text=True, timeout=20, check=False
        )
    except subprocess.TimeoutExpired:
        raise ConfigError("--window: the display does not answer") from None
    if done.returncode:
        complaint = next(iter(done.stderr.strip().splitlines()), "no reason was given").strip()
        display = f" on DISPLAY={os.environ['DISPLAY']}" if "DISPLAY" in os.environ else ""
        raise ConfigError(f"--window: can't open a window{display} ({complaint})")
