from __future__ import annotations

import pytest

from stream.errors import ConfigError
from stream.settings.addresses import check_credentials, check_endpoint, is_loopback, source_kind, source_path
from stream.settings.secrets import redact


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


@pytest.mark.parametrize("name", ["0001", "demo", "7", "lavfi:x"])
def test_what_exists_comes_first_whatever_it_is_called(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    assert source_kind(name) == "folder"
    (tmp_path / name).rmdir()
    (tmp_path / name).write_bytes(b"film")
    assert source_kind(name) == "file"


@pytest.mark.parametrize("form", ["file://{}", "file:{}", "FILE://{}", "file://localhost{}", "file://{}#t=5"])
def test_a_file_url_is_decoded_as_one(tmp_path, form):
    film = tmp_path / "my film #1.mp4"
    film.touch()
    url = form.format(str(film).replace(" ", "%20").replace("#", "%23"))
    assert source_path(url) == str(film)
    assert source_kind(url) == "file"


def test_what_a_file_url_names_as_it_is_written_comes_before_what_it_encodes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("100%25.mp4", "a#b.mp4", "file:c.mp4", "relative.mp4"):
        (tmp_path / name).touch()
    assert source_path(f"file://{tmp_path}/100%25.mp4") == f"{tmp_path}/100%25.mp4"
    assert source_path(f"file://{tmp_path}/a#b.mp4") == f"{tmp_path}/a#b.mp4"
    assert source_path("file:c.mp4") == "file:c.mp4"
    assert source_path("file://relative.mp4") == "relative.mp4"
    assert source_path("file://nowhere/[x") == "nowhere/[x"
    assert source_kind("file:///nowhere/demo") == "file"


def test_a_pipe_and_a_film_in_shared_memory_are_files(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe")
    assert source_kind(str(tmp_path / "pipe")) == "file"
    assert source_kind("/dev/null") == "camera"  # a device; whether it gives pictures is seen when it is opened
    assert source_kind("/dev/shm/no-such-film.mp4") == "file"


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("rtsp://admin:p#ss@host/cam", "%23"),
        ("rtsp://admin:p?ss@host/cam", "%3F"),
        ("rtsp://admin:p/ss@host/cam", "%2F"),
        ("rtsp://admin:p[ss@host/cam", "%5B"),
        ("rtsp://admin:p ss@host/cam", "%20"),
    ],
)
def test_a_password_that_has_to_be_written_otherwise_is_refused_with_the_way_to_write_it(address, code):
    with pytest.raises(ConfigError, match=code) as error:
        check_credentials(address)
    assert "ss@" not in str(error.value)


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://host/cam",
        "rtsp://admin:p%23ss@host:554/a?b=c",
        "rtsp://[::1]:554/cam",
        "rtsp://u:p@[fe80::1]/x",
        "rtsp://u:p@ss@h/x",
    ],
)
def test_addresses_that_are_well_written_pass(address):
    check_credentials(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "[::1]", "lo"])
def test_loopback_is_judged_by_what_is_bound(host):
    assert is_loopback(host)
    check_endpoint("k", f"tcp://{host}:5556", secured=False, insecure=False)


@pytest.mark.parametrize(
    ("endpoint", "words"),
    [
        ("tcp://localhost.example:5556", "no address in numbers"),
        ("tcp://127.0.0.1@10.98.0.2:5556", "in numbers"),
        ("tcp://127.0.0.1.example.org:5556", "no address in numbers"),
        ("tcp://0.0.0.0:5556", "--insecure"),
        ("tcp://*:5556", "--insecure"),
        ("tcp://[::]:5556", "--insecure"),
        ("tcp://[::ffff:8.8.8.8]:5556", "--insecure"),
        ("tcp://127.0.0.1:70000", "at most 65535"),
        ("tcp://127.0.0.1", "needs a port"),
        ("tcp://127.0.0.1;10.0.0.1:5556", "in numbers"),
        ("ipc://@masks", "abstract"),
        ("ipc://" + "ü" * 60, "120 bytes"),
        ("udp://127.0.0.1:5556", "tcp://HOST:PORT"),
    ],
)
def test_an_endpoint_that_is_none_or_that_others_could_reach_is_refused(endpoint, words):
    with pytest.raises(ConfigError) as error:
        check_endpoint("publisher.endpoint", endpoint, secured=False, insecure=False)
    assert words in str(error.value)


def test_a_port_may_be_left_to_the_system_where_it_is_announced():
    for port in ("0", "*"):
        check_endpoint("publisher.endpoint", f"tcp://127.0.0.1:{port}", secured=False, insecure=False)
        with pytest.raises(ConfigError, match="both ends"):
            check_endpoint(
                "graph.endpoints.masks", f"tcp://127.0.0.1:{port}", secured=True, insecure=False, any_port=False
            )
