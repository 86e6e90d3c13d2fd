"""What can't be opened is said at once, in a line, before any process is started."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest
from running import ROOT

from nodes.output_checks import check_outputs
from stream.errors import ConfigError
from stream.settings.presets import load


@pytest.fixture
def port():
    """A port that is in use."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("web.endpoint", "127.0.0.1:{}"),
        ("publisher.endpoint", "tcp://127.0.0.1:{}"),
        ("control.endpoint", "tcp://127.0.0.1:{}"),
    ],
)
def test_a_port_that_is_in_use_is_refused(port, key, value):
    with pytest.raises(ConfigError, match=rf"{key}.*{port} is in use by another program"):
        check_outputs(load("lite", {key: value.format(port)}))


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("web.passwords", "no account", "line 1: needs role:name:scrypt"),
        ("web.metrics_token", "short", "needs 16 or more"),
        ("web.certificate", "no certificate", "are no certificate and its key"),
    ],
)
def test_a_file_of_the_page_that_holds_something_else_is_refused(tmp_path, file, text, message):
    path = tmp_path / "file"
    path.write_text(text)
    path.chmod(0o600)
    more = {"web.key": str(path)} if file == "web.certificate" else {}
    with pytest.raises(ConfigError, match=message):
        check_outputs(load("lite", {"web.endpoint": "127.0.0.1:0", file: str(path), **more}))


def test_nothing_stays_open_of_what_is_fine(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = load("lite", {"web.endpoint": f"127.0.0.1:{port}", "renderer.record": str(tmp_path / "a.mp4")})
    check_outputs(config)
    check_outputs(config)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("more", [(), ("--check",)], ids=["run", "check"])
def test_the_command_says_so_in_one_line_and_starts_no_process(port, more):
    answer = subprocess.run(
        [sys.executable, "run_stream.py", "--web", f"127.0.0.1:{port}", "--no-dashboard", *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == (
        f"run_stream: error: --web (web.endpoint) 127.0.0.1:{port} is in use by another program; stop that one or "
        "choose another port\n"
    )
