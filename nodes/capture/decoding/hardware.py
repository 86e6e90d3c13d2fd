"""What decodes a camera's pictures: `capture.hwaccel` in, a device for FFmpeg out; software where there is none.

UNTESTED on a device: what is tested is that its absence, or a codec that it does not take, costs one warning and no
picture. FFmpeg's own fallback is not enough: without a device `av.open` fails (PyAV 17 and 18).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import av
from av.codec import Codec
from av.codec.hwaccel import HWAccel

log = logging.getLogger(__name__)

AUTO = ("cuda", "vaapi")  # tried in this order
DOWNLOADED = ("nv12", "nv16", "p010le", "p016le", "p210le", "p216le")  # pictures that come from a device have these


class HardwareDecoding:
    """How one camera is decoded, over all of its connections: once a device has failed it is not tried again."""

    def __init__(self, wanted: str = "none", make_device: Callable[[str], Any] | None = None) -> None:
        """`make_device` makes what FFmpeg needs for a kind of device; whatever it raises says that there is none."""
        self._wanted = wanted
        self._make_device = make_device or _make_device
        self._kind: str | None = None if wanted != "none" else ""  # in use; "": software; None: not looked for yet

    @property
    def in_use(self) -> bool:
        """Whether a device decodes, or is to."""
        return bool(self._kind)

    def open_arguments(self) -> dict[str, Any]:
        """What `av.open` is given for it; nothing where software decodes."""
        if self._kind == "":
            return {}
        kinds = AUTO if self._wanted == "auto" else (self._wanted,)
        reasons = []
        for kind in kinds:
            try:
                device = self._make_device(kind)
            except (av.FFmpegError, NotImplementedError, ValueError, RuntimeError, OSError) as error:
                reasons.append(f"{kind}: {getattr(error, 'strerror', None) or error}")
                continue
            self._kind = kind
            return {"hwaccel": device}
        self._fall_back(f"there is no device for it here ({'; '.join(reasons)})")
        return {}

    def see_first(self, context: Any, picture: Any) -> None:
        """The first picture of a connection has been decoded, in this codec context."""
        if not self._kind:
            return
        if context.is_hwaccel and picture.format.name in DOWNLOADED:
            log.info("%s pictures are decoded by %s", context.name, self._kind)
        else:
            self._fall_back(f"{self._kind} does not take this {context.name}")

    def give_up(self) -> None:
        """No picture could be decoded with it."""
        self._fall_back(f"{self._kind} gave no picture")

    def _fall_back(self, why: str) -> None:
        """Decode in software from now on, and say so once: nobody asked for a certain device with `auto`."""
        level = logging.INFO if self._wanted == "auto" else logging.WARNING
        log.log(level, "capture.hwaccel %s: %s; pictures are decoded in software", self._wanted, why)
        self._kind = ""


def _make_device(kind: str) -> Any:
    """The device, once it is sure that it can be opened."""
    device = HWAccel(kind, allow_software_fallback=True)
    device.create(Codec("h264", "r"))
    return device
