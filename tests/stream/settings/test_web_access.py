"""What the page may be opened to, and where a screen is missing."""

from __future__ import annotations

import pytest

from stream.errors import ConfigError
from stream.settings import web_access
from stream.settings.presets import load
from stream.settings.web_access import check_web_files, check_web_packages, host_and_port


@pytest.mark.parametrize(
    ("endpoint", "host", "port"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("localhost:0", "localhost", 0),
        ("[::1]:8080", "::1", 8080),
        ("*:443", "0.0.0.0", 443),
    ],
)
def test_an_address_has_a_host_and_a_port(endpoint, host, port):
    assert host_and_port(endpoint) == (host, port)


@pytest.mark.parametrize(
    "endpoint",
    ["8080", ":8080", "127.0.0.1", "127.0.0.1:", "127.0.0.1:70000", "http://127.0.0.1:8080", "::1:80", "a b:1"],
)
def test_what_is_no_address_is_refused_with_an_example(endpoint):
    with pytest.raises(ConfigError, match=r"needs HOST:PORT .* for example 127\.0\.0\.1:8080"):
        load("lite", {"web.endpoint": endpoint})


@pytest.mark.parametrize(
    ("keys", "missing"),
    [
        ({}, ("web.passwords", "web.certificate and web.key")),
        ({"web.passwords": "p"}, ("web.certificate and web.key",)),
        ({"web.certificate": "c", "web.key": "k"}, ("web.passwords",)),
    ],
)
@pytest.mark.parametrize("endpoint", ["0.0.0.0:8080", "192.168.1.5:8080", "[::]:8080", "*:8080", "door.example:80"])
def test_beyond_loopback_passwords_and_https_are_needed_in_one_clear_message(endpoint, keys, missing):
    with pytest.raises(ConfigError, match="which others can reach") as caught:
        load("lite", {"web.endpoint": endpoint, **keys})
    for text in ("web.passwords (", "web.certificate and web.key ("):
        assert (text in str(caught.value)) == any(m in text for m in missing)
    assert "--insecure" in str(caught.value)


@pytest.mark.parametrize(
    "keys",
    [
        {"web.passwords": "p", "web.certificate": "c", "web.key": "k"},
        {"web.insecure": True},
        {"graph.insecure": True},
    ],
)
def test_beyond_loopback_it_opens_with_both_or_where_the_user_says_so(keys):
    assert load("lite", {"web.endpoint": "0.0.0.0:8080", **keys}).web.endpoint == "0.0.0.0:8080"


def test_a_certificate_without_its_key_is_refused():
    with pytest.raises(ConfigError, match=r"web\.key is not set, web\.certificate is"):
        load("lite", {"web.certificate": "c"})


def test_files_that_are_not_there_are_named_before_anything_starts():
    config = load("lite", {"web.endpoint": "127.0.0.1:0", "web.passwords": "no-such-file"})
    with pytest.raises(ConfigError, match=r"web\.passwords is 'no-such-file': no such file"):
        check_web_files(config.web)


def test_a_missing_package_is_named_with_the_file_that_installs_it(monkeypatch):
    monkeypatch.setattr(web_access.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs aiohttp and prometheus_client; pip install -r requirements-web\.txt"):
        check_web_packages()


@pytest.mark.parametrize(
    ("environ", "window", "endpoint"),
    [
        ({"DISPLAY": ":0"}, True, ""),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True, ""),
        ({}, False, "127.0.0.1:8080"),
        ({"DISPLAY": ""}, False, "127.0.0.1:8080"),
    ],
)
def test_the_webcam_preset_takes_the_page_where_there_is_no_screen(monkeypatch, environ, window, endpoint):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    config = load("webcam")
    assert (config.renderer.window, config.web.endpoint) == (window, endpoint)


def test_without_a_screen_an_address_of_ones_own_stays_and_no_window_means_no_window(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert load("webcam", {"web.endpoint": "127.0.0.1:9000"}).web.endpoint == "127.0.0.1:9000"
    config = load("webcam", {"renderer.window": False})
    assert (config.renderer.window, config.web.endpoint) == (False, "")


def test_the_page_publishes_scenes_and_a_run_without_it_does_not():
    assert not load("lite").publishes_scenes
    assert load("lite", {"web.endpoint": "127.0.0.1:0"}).publishes_scenes
    assert load("lite", {"publisher.scenes": True}).publishes_scenes
