"""A `Capture` config in, the source of pictures that it names out."""

from __future__ import annotations

from pathlib import Path

from nodes.capture.cameras import CameraSource
from nodes.capture.decoding.hardware import HardwareDecoding
from nodes.capture.decoding.video import Tap, VideoSource
from nodes.capture.demo import DemoSource
from nodes.capture.files import FileSource, GraphSource
from nodes.capture.folder import FolderSource, PictureSource, is_picture
from nodes.capture.network import NetworkSource, make_network_source
from nodes.capture.page_camera import PageCameraSource, UploadBox
from nodes.capture.scene import DemoScene
from nodes.capture.source import Picture, Source, SourceInfo
from stream.settings.addresses import source_kind, source_path
from stream.settings.config import Capture, parse_size

__all__ = ["Picture", "Source", "SourceInfo", "demo_scene", "make_source"]


def make_source(
    config: Capture,
    uploads: UploadBox | None = None,
    tap: Tap | None = None,
    hardware: HardwareDecoding | None = None,
) -> Source:
    """The source that `config.source` names, not yet opened.

    `uploads` is where a page's pictures come; `tap` gets a copy of each encoded packet, where the source has some;
    `hardware` decodes them, where it can.
    """
    source = _make_source(config, uploads)
    if tap is not None and isinstance(source, VideoSource):
        source.copy_packets_to(tap)
    if isinstance(source, FileSource | NetworkSource):
        source.decode_by(hardware or HardwareDecoding(config.hwaccel))
    return source


def _make_source(config: Capture, uploads: UploadBox | None) -> Source:
    kind, name = source_kind(config.source), config.source
    if kind == "demo":
        return DemoSource(demo_scene(config))
    if kind == "folder":
        return FolderSource(Path(source_path(name)), config.folder_fps)
    if kind == "camera":
        return CameraSource(source_path(name), config.camera_size, config.camera_fps)
    if kind in ("rtsp", "network"):
        return make_network_source(config)
    if kind == "browser":
        return PageCameraSource(uploads or UploadBox(), config.read_timeout_s)
    if kind == "lavfi":
        return GraphSource(name.removeprefix("lavfi:"))
    path = Path(source_path(name))
    if is_picture(path):
        return PictureSource([path], config.folder_fps)
    return FileSource(path)


def demo_scene(config: Capture) -> DemoScene:
    """The scene that the source `demo` shows."""
    size = parse_size(config.demo_size)
    return DemoScene(size, config.demo_fps, config.demo_frames, config.demo_seed, config.demo_code)
