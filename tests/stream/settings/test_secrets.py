"""No password is shown, whatever characters it holds and wherever it is written."""

from __future__ import annotations

import json
import string
from urllib.parse import quote

import pytest

from stream.settings import secrets
from stream.settings.secrets import has_credentials, redact, remember


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch):
    monkeypatch.setattr(secrets, "_remembered", {})


@pytest.mark.parametrize("character", string.printable)
def test_every_printable_character_of_a_password_is_hidden_in_every_form(character):
    password = f"se{character}cret{character}part"
    address = f"rtsp://admin:{password}@10.0.0.5:554/cam"
    remember(address)
    forms = [
        address,
        repr(address),
        json.dumps({"source": address}),
        json.dumps([repr(address)]),
        f"can't open {address}: refused",
        f"401 for user admin with password {password}",
        f"Traceback: Source({address!r}, 5)",
        f"rtsp://admin:{quote(password, safe='')}@10.0.0.5:554/cam",
    ]
    for text in forms:
        shown = redact(text)
        for part in ("cret", "part"):
            assert part not in shown, shown
    assert "10.0.0.5:554/cam" in redact(address)


def test_a_password_written_with_percent_signs_is_hidden_decoded_as_well():
    remember("rtsp://admin:p%40ss%23word@host/cam")
    assert redact("the server refused p@ss#word and p%40ss%23word") == "the server refused *** and ***"


def test_tokens_in_the_path_or_the_query_are_hidden():
    remember("rtsp://host/user=admin&password=hunter2/ch1?token=abcdef")
    assert redact("sent hunter2 and abcdef to rtsp://host/user=admin&password=hunter2/ch1?token=abcdef") == (
        "sent *** and *** to rtsp://host/user=***&password=***/ch1?token=***"
    )


def test_an_address_that_nobody_remembered_is_redacted_by_pattern():
    assert redact("can't open rtsp://user:hunter2@host/x") == "can't open rtsp://***@host/x"


def test_a_password_of_one_letter_does_not_blot_out_the_log():
    remember("rtsp://admin:a@host/cam")
    assert redact("a camera at rtsp://admin:a@host/cam") == "a camera at rtsp://***@host/cam"


def test_text_without_credentials_is_left_alone():
    for text in ("plain words", "tcp://127.0.0.1:5556", "rtsp://host/cam", "rtsp://USER:PASSWORD@HOST/PATH"):
        remember("clip.mp4")
        assert redact(text) == text


@pytest.mark.parametrize(
    ("text", "holds"),
    [("rtsp://u:p@h/x", True), ("rtsp://h/?pwd=secret", True), ("rtsp://h/x", False), ("a@b.mp4", False)],
)
def test_credentials_are_noticed(text, holds):
    assert has_credentials(text) is holds
