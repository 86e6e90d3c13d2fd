"""A page in Chromium: what it shows, hands for it, and everything that goes wrong in it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from running import ROOT, until

from tools.bench.web_viewers import Entrance

READ_CODE = (ROOT / "tools/bench/frame_code.js").read_text()
PATIENCE_S = 60.0

# Every text that the page sends, and every violation of its own Content-Security-Policy.
RECORD = """
(() => {
  window.sentTexts = [];
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    if (typeof data === "string") window.sentTexts.push(JSON.parse(data));
    return send.call(this, data);
  };
  addEventListener("securitypolicyviolation", (event) => {
    console.error(`CSP: ${event.violatedDirective} refused ${event.blockedURI}`);
  });
})();
"""


class LivePage:
    """One tab. `problems` holds console errors, CSP violations and uncaught errors; a test must leave none."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.problems: list[str] = []
        self.loaded: dict[str, int] = {}  # bytes of each file that was fetched, by path
        page.add_init_script(RECORD)
        page.on("console", self._take_console)
        page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))

    def _take_console(self, message: Any) -> None:
        if message.type == "error":
            self.problems.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    # --- what it shows ---

    def open(self, url: str) -> None:
        """Load the page and wait until it is live."""
        self.page.goto(url)
        self.wait_for(lambda s: s["banner"] == "live", "a live picture")

    def state(self) -> dict[str, Any]:
        """What the page tells tests of itself."""
        answer: dict[str, Any] = self.page.evaluate("window.samptState ? window.samptState() : {}")
        return answer

    def wait_for(self, condition: Any, what: str, patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """The first state of the page of which `condition` is true."""
        newest: dict[str, Any] = {}

        def holds() -> bool:
            nonlocal newest
            newest = self.state()
            return bool(newest) and bool(condition(newest))

        try:
            until(holds, what, patience_s)
        except AssertionError as error:
            newest.pop("ages_ms", None)
            notices = self.page.evaluate("document.querySelector('#notices')?.innerText")
            raise AssertionError(
                f"{error}; the page: {newest}; notices: {notices}; problems: {self.problems}"
            ) from None
        return newest

    def code(self) -> int:
        """The number that the picture's pixels show; -1 for none."""
        return int(self.page.locator("#picture").evaluate(READ_CODE))

    def mask(self, object_id: int) -> tuple[int, np.ndarray] | None:
        """(frame_id, (H, W) bool) of an object on the painted frame; None where it has no mask."""
        found = self.page.evaluate("(id) => window.samptMask(id)", object_id)
        if not found or not found["area"]:
            return None
        painted = self.state()["painted"]
        x, y, width, height = found["bbox"]
        bits = np.unpackbits(np.frombuffer(base64.b64decode(found["rows"]), np.uint8))[: width * height]
        mask = np.zeros((painted["height"], painted["width"]), bool)
        mask[y : y + height, x : x + width] = bits.reshape(height, width)
        return found["frame_id"], mask

    def requests(self, method: str) -> list[dict[str, Any]]:
        """The params of every request of a method, oldest first."""
        sent = self.page.evaluate("window.sentTexts")
        return [m["params"] for m in sent if m["type"] == "request" and m["method"] == method]

    def test_id(self, name: str) -> Any:
        """The element that tests know by this name."""
        return self.page.locator(f"[data-testid='{name}']")

    # --- hands ---

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a position in frame px is in the window."""
        painted, box = self.state()["painted"], self.page.locator("#picture").bounding_box()
        return (
            box["x"] + (x + 0.5) * box["width"] / painted["width"],
            box["y"] + (y + 0.5) * box["height"] / painted["height"],
        )

    def click(self, x: float, y: float, button: str = "left") -> None:
        """Click a position in frame px."""
        self.page.mouse.click(*self.place(x, y), button=button)

    def drag(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """Draw from one position in frame px to another with the button held."""
        start, end = self.place(x1, y1), self.place(x2, y2)
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move(*end, steps=4)
        self.page.mouse.up()

    def press(self, key: str) -> None:
        """Press a key."""
        self.page.keyboard.press(key)


@contextmanager
def opened(browser: Any, entrance: Entrance | None = None, **options: Any) -> Iterator[LivePage]:
    """A tab of its own, logged in with the cookie of `entrance`; at the end it must not have had a problem."""
    options.setdefault("viewport", {"width": 1100, "height": 700})
    context = browser.new_context(**options)
    try:
        if entrance is not None:
            name, _, value = entrance.cookie.partition("=")
            context.add_cookies([{"name": name, "value": value, "url": entrance.url}])
        page = LivePage(context.new_page())
        yield page
        assert page.problems == []
    finally:
        context.close()
