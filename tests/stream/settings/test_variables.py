"""`${NAME}` and `${file:PATH}` in a config."""

from __future__ import annotations

import pytest

from stream.errors import ConfigError
from stream.settings.presets import build, load, plain


def source(tmp_path, text):
    path = tmp_path / "door.yaml"
    path.write_text(f"base: rtsp\ncapture:\n  source: {text}\n")
    return load(str(path)).capture.source


def test_an_environment_variable_stands_for_a_password_and_is_written_as_addresses_want_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DOOR_PASSWORD", "p@ss#1/x")
    assert source(tmp_path, "rtsp://admin:${DOOR_PASSWORD}@10.0.0.5/cam") == "rtsp://admin:p%40ss%231%2Fx@10.0.0.5/cam"


def test_a_file_stands_for_a_password(tmp_path):
    (tmp_path / "secret").write_text("hunter2\n")
    assert source(tmp_path, f"rtsp://u:${{file:{tmp_path}/secret}}@h/x") == "rtsp://u:hunter2@h/x"


def test_text_that_is_no_address_is_filled_in_as_it_is(monkeypatch):
    monkeypatch.setenv("CLIP", "a#b.mp4")
    assert load("lite", {"capture.source": "${CLIP}"}).capture.source == "a#b.mp4"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rtsp://u:${NO_SUCH_VARIABLE}@h/x", "capture.source: the environment variable NO_SUCH_VARIABLE is not set"),
        ("rtsp://u:${file:/no/such}@h/x", "capture.source: the file /no/such can't be read"),
    ],
)
def test_what_is_not_there_is_one_readable_error(tmp_path, monkeypatch, text, words):
    monkeypatch.delenv("NO_SUCH_VARIABLE", raising=False)
    with pytest.raises(ConfigError) as error:
        source(tmp_path, text)
    assert words in str(error.value)


def test_a_value_is_filled_in_once(monkeypatch):
    monkeypatch.setenv("ONE", "${TWO}")
    config = load("lite", {"capture.source": "${ONE}"})
    assert build(plain(config)).capture.source == "${TWO}"
