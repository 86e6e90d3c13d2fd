"""The page's own camera as the feed: frames of one page in, acknowledgements out. Here nobody takes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import Meta


class CameraFrame(msgspec.Struct, frozen=True, tag_field="type", tag="camera_frame"):
    """What a page says of a picture of its camera; the JPEG follows."""

    captured_ms: float  # the page's clock
    width: Annotated[int, Meta(ge=1, le=65535)]
    height: Annotated[int, Meta(ge=1, le=65535)]


class Page(Protocol):
    """The page that a camera belongs to."""

    def say(self, message: dict[str, Any]) -> None: ...


class CameraFeed(Protocol):
    """Takes what pages send of their cameras. All calls come from the event loop, and none may wait."""

    def take(self, page: Page, frame: CameraFrame, jpeg: bytes) -> None:
        """A picture has come: say `camera_ack` once it is taken, or `camera_refused`."""

    def tell(self, page: Page, state: Literal["on", "denied", "ended"], message: str) -> None:
        """A page says how its camera is."""

    def left(self, page: Page) -> None:
        """A page is gone; called for every page."""


class NoCameraFeed:
    """Refuses every camera: the run has another source."""

    def take(self, page: Page, frame: CameraFrame, jpeg: bytes) -> None:
        """Refuse."""
        page.say({"type": "camera_refused", "message": "the run has another source; start it with --source browser"})

    def tell(self, page: Page, state: Literal["on", "denied", "ended"], message: str) -> None:
        """It is of no matter here."""

    def left(self, page: Page) -> None:
        """It is of no matter here."""
