"""Hardware decoding where there is none: one warning, and the very pictures that software decodes."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from capture.clips import write_clip

from nodes.capture.decoding.hardware import HardwareDecoding
from nodes.capture.sources import make_source
from stream.errors import ConfigError, SourceError
from stream.settings.config import Capture
from stream.settings.presets import load


def no_device(kind):
    raise OSError(1, f"no {kind} here")


def pictures(path, hardware, **keys):
    source = make_source(Capture(source=str(path), **keys), hardware=hardware)
    source.open()
    try:
        return list(iter(source.read, None))
    finally:
        source.close()


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING]


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4")


@pytest.mark.parametrize("wanted", ["cuda", "vaapi"])
def test_without_a_device_one_warning_comes_and_software_decodes_the_same(clip, caplog, wanted):
    plain = pictures(clip, HardwareDecoding("none"))
    hardware = HardwareDecoding(wanted, no_device)
    for _ in range(3):  # connections
        decoded = pictures(clip, hardware)
        assert len(decoded) == len(plain) == 12
        assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(decoded, plain, strict=True))
    (warning,) = warnings(caplog)
    assert f"capture.hwaccel {wanted}: there is no device for it here ({wanted}: no {wanted} here)" in warning
    assert "decoded in software" in warning


def test_a_device_that_does_not_take_the_codec_costs_one_warning(clip, caplog):
    """`drm` is known to FFmpeg, needs no device to be named, and decodes no H.264."""
    from av.codec.hwaccel import HWAccel

    hardware = HardwareDecoding("vaapi", lambda _: HWAccel("drm", allow_software_fallback=True))
    plain = pictures(clip, None)
    for _ in range(2):
        decoded = pictures(clip, hardware)
        assert all(np.array_equal(a.rgb, b.rgb) for a, b in zip(decoded, plain, strict=True))
    (warning,) = warnings(caplog)
    assert "vaapi does not take this h264" in warning


def test_a_device_that_gives_no_picture_is_given_up_at_once(clip, caplog, monkeypatch):
    from nodes.capture.decoding import video

    hardware = HardwareDecoding("cuda", lambda _: None)  # av.open takes None for no device
    decode = video.VideoSource._decode_packet

    def decode_nothing(self, stream, packet):
        if not hardware.in_use:
            return decode(self, stream, packet)
        self.damaged += 1
        return []

    monkeypatch.setattr(video.VideoSource, "_decode_packet", decode_nothing)
    source = make_source(Capture(source=str(clip)), hardware=hardware)
    source.open()
    assert len(list(iter(source.read, None))) == 12
    assert source.damaged == 0  # that was the device's fault, not the clip's
    source.close()
    assert warnings(caplog) == ["capture.hwaccel cuda: cuda gave no picture; pictures are decoded in software"]


def test_auto_takes_the_first_device_there_is_and_is_silent_without_one(clip, caplog):
    asked = []

    def only_vaapi(kind):
        asked.append(kind)
        return no_device(kind) if kind == "cuda" else "the device"

    hardware = HardwareDecoding("auto", only_vaapi)
    assert hardware.open_arguments() == {"hwaccel": "the device"}
    assert asked == ["cuda", "vaapi"]
    hardware.see_first(
        SimpleNamespace(is_hwaccel=True, name="h264"), SimpleNamespace(format=SimpleNamespace(name="nv12"))
    )
    assert hardware.in_use
    pictures(clip, HardwareDecoding("auto", no_device))
    assert warnings(caplog) == []


def test_none_asks_for_no_device(clip):
    assert HardwareDecoding("none", lambda _: pytest.fail("it asked")).open_arguments() == {}
    assert Capture().hwaccel == "none"


def test_a_broken_source_is_no_fault_of_the_device(tmp_path, caplog):
    (tmp_path / "noise.mp4").write_bytes(bytes(range(256)) * 40)
    hardware = HardwareDecoding("cuda", lambda _: None)
    with pytest.raises(SourceError, match="no video that FFmpeg knows"):
        pictures(tmp_path / "noise.mp4", hardware)
    assert hardware.in_use
    assert warnings(caplog) == []


def test_a_kind_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"capture\.hwaccel is 'nvdec'; needs"):
        load("lite", {"capture.hwaccel": "nvdec"})
