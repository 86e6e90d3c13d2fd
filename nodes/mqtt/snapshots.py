"""Pictures with their masks for the broker: which cameras are due for one, and how a scene becomes a JPEG."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from stream.errors import MessageError
from stream.node import PublicListener

QUALITY = 80
TRAIL = 12  # frames that a point's trail goes back; of pictures far apart there is none to see


class Snapshots:
    """Listens to the scenes of a camera just for the one that it is time for: they are made for who listens."""

    def __init__(self, listener: PublicListener, period_s: float) -> None:
        self._listener = listener
        self._period_s = period_s
        self._due_s: dict[str, float] = {}  # by camera: when its next picture is to be taken
        self._waiting: set[str] = set()  # topics that are listened to

    def choose(self, cameras: Collection[str], now_s: float) -> None:
        """Listen for the cameras that are due."""
        self._due_s = {camera: self._due_s.get(camera, now_s) for camera in cameras}
        wanted = {f"scenes/{camera}" for camera, due_s in self._due_s.items() if due_s <= now_s}
        for topic in wanted - self._waiting:
            self._listener.subscribe(topic)
        for topic in self._waiting - wanted:
            self._listener.unsubscribe(topic)
        self._waiting = wanted

    def take(self, parts: Sequence[bytes], now_s: float) -> tuple[str, bytes] | None:
        """(camera, JPEG) of a scene that is wanted; None of another one. MessageError where it is none."""
        topic = bytes(parts[0]).decode(errors="replace")
        if topic not in self._waiting:
            return None
        camera = topic.partition("/")[2]
        self._due_s[camera] = now_s + self._period_s
        self._waiting.discard(topic)
        self._listener.unsubscribe(topic)
        return camera, burn(parts)


def burn(parts: Sequence[bytes]) -> bytes:
    """The picture of a scenes message with its masks drawn into it, as JPEG; MessageError."""
    from stream.drawing.painter import Painter  # with OpenCV, which nothing else here needs
    from stream.public_wire.image_codecs import encode_jpeg
    from stream.public_wire.messages import unpack_scene

    received = unpack_scene(parts)
    if received.picture_size != received.masks.size:
        raise MessageError(f"a picture of {received.picture_size} came with masks of {received.masks.size}")
    return encode_jpeg(Painter(TRAIL).draw(received.picture(), received.masks, None), QUALITY)
