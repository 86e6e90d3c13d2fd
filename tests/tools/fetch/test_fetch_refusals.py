"""Servers that give something else than weights, or nothing; networks that are not there."""

from __future__ import annotations

import socket

import pytest
from running import reserved_port
from weights_server import PAYLOAD, Fetch, WeightsServer, broken_off, row

from stream.errors import CheckpointError


@pytest.mark.parametrize(
    ("content_type", "payload"),
    [
        ("text/html; charset=utf-8", PAYLOAD),
        ("application/octet-stream", b"\n<!DOCTYPE html><title>Please log in</title>"),
        ("application/octet-stream", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n"),
        ("application/json", b'{"error": "quota exceeded"}'),
    ],
)
def test_a_page_instead_of_weights_is_refused_at_its_first_bytes(
    server: WeightsServer, fetching: Fetch, content_type: str, payload: bytes
) -> None:
    server.content_type, server.payload = content_type, payload
    with pytest.raises(CheckpointError, match="instead of weights; a login page"):
        fetching(row(PAYLOAD, server.url))
    assert fetching.left == []
    assert len(server.requests) == 1


def test_a_page_in_place_of_the_rest_costs_nothing_of_what_came(server: WeightsServer, fetching: Fetch) -> None:
    broken_off(fetching, server)
    server.content_type, server.ranges = "text/html", False
    with pytest.raises(CheckpointError, match="instead of weights"):
        fetching(row(PAYLOAD, server.url))
    assert fetching.part.stat().st_size == 200_000


@pytest.mark.parametrize(
    ("status", "words"), [(404, "no such file on the server"), (403, "refuses it"), (401, "wants a login")]
)
def test_a_refusal_is_told_and_not_repeated(server: WeightsServer, fetching: Fetch, status: int, words: str) -> None:
    server.statuses = [status]
    with pytest.raises(CheckpointError, match=rf"{words}.* \(HTTP {status}\)") as caught:
        fetching(row(PAYLOAD, server.url))
    assert caught.value.exit_code == 3
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again_later(server: WeightsServer, fetching: Fetch) -> None:
    server.statuses = [503, 429]
    fetching(row(PAYLOAD, server.url))
    assert fetching.target.read_bytes() == PAYLOAD
    assert fetching.waits == [1.0, 2.0]


def test_a_server_that_stays_busy_is_given_up(server: WeightsServer, fetching: Fetch) -> None:
    server.statuses = [503] * 9
    with pytest.raises(CheckpointError, match=r"busy \(HTTP 503\), 5 times in a row; try again later"):
        fetching(row(PAYLOAD, server.url))
    assert len(server.requests) == 5


def test_the_next_address_is_tried_where_one_fails(server: WeightsServer, fetching: Fetch) -> None:
    server.statuses = [404]
    fetching(row(PAYLOAD, server.url.replace("tiny", "moved"), server.url))
    assert [path for path, _ in server.requests] == ["/moved.pth", "/tiny.pth"]
    assert "trying the next address" in fetching.out.getvalue()


def test_a_port_that_nobody_listens_on_is_told(fetching: Fetch) -> None:
    words = r"127.0.0.1:\d+ can't be reached \(Connection refused\)"
    with reserved_port() as port, pytest.raises(CheckpointError, match=words):
        fetching(row(PAYLOAD, f"http://127.0.0.1:{port}/tiny.pth"))
    assert fetching.waits == []


def test_a_name_that_is_not_resolved_is_told(fetching: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(CheckpointError, match=r"weights.example: the name can't be resolved .* is there a network"):
        fetching(row(PAYLOAD, "https://weights.example/tiny.pth"))


def test_the_proxy_of_the_environment_is_used(
    server: WeightsServer, fetching: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    fetching(row(PAYLOAD, "http://weights.example/tiny.pth"))
    assert server.requests[0][0] == "http://weights.example/tiny.pth"


def test_messages_hide_the_password_of_an_address(server: WeightsServer, fetching: Fetch) -> None:
    server.statuses = [404]
    with pytest.raises(CheckpointError) as caught:
        fetching(row(PAYLOAD), f"{server.url}?token=hunter2")
    assert "hunter2" not in str(caught.value) + fetching.out.getvalue()
    assert "hunter2" in server.requests[0][0]


def test_a_proxy_that_cannot_be_used_is_told_in_one_sentence(
    server: WeightsServer, fetching: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", "gopher://proxy.example")
    with pytest.raises(CheckpointError, match=r"tiny.pth can't be fetched \(.*gopher"):
        fetching(row(PAYLOAD, server.url))
    assert server.requests == []
