"""Mouse and keys in, control requests and what the window should show of them out. Knows no window.

left click    a new object there, or a positive point of the selected one        drag    a box: a new object
right click   a negative point of the selected object                            1-9, Tab, Esc   select, unselect
x, Delete     remove the selected object      space, p   pause, resume      s   snapshot      h   help      q   quit
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

Request = dict[str, Any]
Button = Literal["left", "right"]
Point = tuple[float, float]

MESSAGE_S = 3.0  # how long a message stays
DRAG_PX = 4.0  # of the window; a press that moves less is a click


class Interaction:
    """One person at one window. Positions are (x, y) in frame px, and may lie outside the frame."""

    def __init__(self, send: Callable[[Request], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.send = send
        self.clock = clock  # seconds
        self.size: tuple[int, int] | None = None  # (height, width) of the frame; None before the first
        self.objects: tuple[int, ...] = ()  # ids alive, ascending
        self.selected: int | None = None
        self.paused = False
        self.show_help = True
        self._drag_px = DRAG_PX  # frame px
        self._pressed: Point | None = None
        self._dragged: Point | None = None
        self._added: set[int] = set()  # objects that a reply named, but no frame has shown yet
        self._message = ""
        self._message_until = 0.0
        self.quitting = False  # shutdown was requested

    # --- what happens -----------------------------------------------------------------------------------------------

    def take_frame(self, size: tuple[int, int], objects: Sequence[int]) -> None:
        """A new frame of (height, width) with these objects."""
        if size != self.size:
            self._pressed = self._dragged = None  # the corner of the box lies in a frame that is gone
        self.size = size
        self.objects = tuple(sorted(objects))
        self._added.difference_update(objects)
        if self.selected is not None and self.selected not in (*self.objects, *self._added):
            self.selected = None

    def set_scale(self, scale: float) -> None:
        """The frame is shown at `scale` window px a frame px."""
        self._drag_px = DRAG_PX / scale

    def press(self, button: Button, xy: Point) -> None:
        """A button went down."""
        if not self._inside(xy):
            return
        xy = self._clamped(xy)
        if button == "left":
            self._pressed = self._dragged = xy
        elif self.selected is None:
            self.show_message("select an object first: 1-9 or Tab")
        else:
            self._request("refine_object", object_id=self.selected, points=[_point(xy, 0)])

    def move(self, xy: Point) -> None:
        """The mouse moved."""
        if self._pressed is not None:
            self._dragged = self._clamped(xy)

    def release(self, xy: Point) -> None:
        """The left button went up."""
        if self._pressed is None:
            return
        self.move(xy)
        start, box = self._pressed, self.box
        self._pressed = self._dragged = None
        if box is not None:
            self._request("add_object", box=[round(v, 1) for v in box])
        elif self.selected is None:
            self._request("add_object", points=[_point(start, 1)])
        else:
            self._request("refine_object", object_id=self.selected, points=[_point(start, 1)])

    def key(self, name: str) -> None:
        """A key went down: a character, or "tab", "escape", "delete"."""
        name = name.lower()
        if len(name) == 1 and name in "123456789":
            self._select(int(name))
        elif name == "tab":
            later = [i for i in self.objects if self.selected is None or i > self.selected]
            self.selected = next(iter(later or self.objects), None)
        elif name == "escape":
            self.selected = self._pressed = self._dragged = None
        elif name in ("x", "delete"):
            self._remove()
        elif name in (" ", "p"):
            self.paused = not self.paused
            self._request("pause" if self.paused else "resume")
        elif name == "s":
            self._request("snapshot")
        elif name == "h":
            self.show_help = not self.show_help
        elif name == "q":
            self.quit()

    def quit(self) -> None:
        """End the run; requested once, however often the window is closed."""
        if not self.quitting:
            self.quitting = True
            self._request("shutdown")

    def take_reply(self, request: Request, reply: dict[str, Any]) -> None:
        """The reply to a request came: {"result": ...} or {"error": {"code", "message"}}."""
        method, error, result = request.get("method"), reply.get("error"), reply.get("result") or {}
        if error:
            self.show_message(str(error.get("message", error)) if isinstance(error, dict) else str(error))
            if method in ("pause", "resume"):
                self.paused = method == "resume"
            self.quitting = self.quitting and method != "shutdown"
        elif method == "add_object" and isinstance(result.get("object_id"), int):
            self.selected = result["object_id"]
            if self.selected not in self.objects:
                self._added.add(self.selected)
        elif method == "snapshot":
            self.show_message("saved " + ", ".join(str(v) for v in result.values()) if result else "saved")

    def show_message(self, message: str) -> None:
        """Show a message in the help line for three seconds."""
        self._message, self._message_until = message, self.clock() + MESSAGE_S

    # --- what to show -----------------------------------------------------------------------------------------------

    @property
    def box(self) -> tuple[float, float, float, float] | None:
        """(x1, y1, x2, y2) of the box being drawn, frame px; None while the button is up or hardly moved."""
        if self._pressed is None or self._dragged is None:
            return None
        (ax, ay), (bx, by) = self._pressed, self._dragged
        if min(abs(ax - bx), abs(ay - by)) < self._drag_px:
            return None
        return min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)

    def help_lines(self) -> list[str]:
        """What the line at the bottom says, the longest wording first, for the window to take the first that fits."""
        if self.clock() < self._message_until:
            return [self._message]
        if not self.show_help:
            return []
        if self.selected is None:
            first, short = "click: new object   drag: box   1-9, Tab: select", "click: new   drag: box   Tab: select"
        else:
            mine = f"object {self.selected}"
            first = f"{mine}   click: add a point   right click: not this   x: remove   Esc: done"
            short = f"{mine}   click: +   right: -   x: remove   Esc: done"
        play = "resume" if self.paused else "pause"
        return [f"{first}   space: {play}   s: snapshot   h: hide   q: quit", f"{first}   q: quit", short]

    # --- inside -----------------------------------------------------------------------------------------------------

    def _request(self, method: str, **params: Any) -> None:
        self.send({"method": method, "params": params})

    def _select(self, object_id: int) -> None:
        if object_id == self.selected:
            self.selected = None
        elif object_id in self.objects:
            self.selected = object_id
        else:
            self.show_message(f"there is no object {object_id}")

    def _remove(self) -> None:
        if self.selected is None:
            self.show_message("select the object to remove first: 1-9 or Tab")
        else:
            self._request("remove_object", object_id=self.selected)
            self._added.discard(self.selected)
            self.selected = None

    def _inside(self, xy: Point) -> bool:
        if self.size is None:
            return False
        return -0.5 <= xy[0] < self.size[1] - 0.5 and -0.5 <= xy[1] < self.size[0] - 0.5

    def _clamped(self, xy: Point) -> Point:
        assert self.size is not None
        return min(max(xy[0], 0.0), self.size[1] - 1.0), min(max(xy[1], 0.0), self.size[0] - 1.0)


def _point(xy: Point, label: int) -> list[float]:
    """[x, y, label] as control takes it."""
    return [round(xy[0], 1), round(xy[1], 1), label]
