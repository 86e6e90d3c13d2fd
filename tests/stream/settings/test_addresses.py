from __future__ import annotations

import pytest

from stream.settings.addresses import redact, source_kind


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("demo", "demo"),
        ("0", "camera"),
        ("/dev/video2", "camera"),
        ("rtsp://h/x", "rtsp"),
        ("RTSPS://h/x", "rtsp"),
        ("lavfi:testsrc2", "lavfi"),
        ("clip.mp4", "file"),
        (".", "folder"),
    ],
)
def test_sources_are_told_apart(source, kind):
    assert source_kind(source) == kind


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://user:hunter2@host/x",
        "rtsp://user:hun@ter2@host/x",
        "rtsp://user:hun/ter2@host/x",
        "rtsp://h/user=u&password=hunter2",
        "rtsp://h/?pwd=hunter2",
    ],
)
def test_no_password_is_ever_shown(address):
    for text in (address, f"can't open {address}: refused", f'config: capture.source="{address}"'):
        assert "ter2" not in redact(text)
