"""`tools/ctl.py doctor` looks at brokers, receivers and RTSP servers of a config, and never waits for long."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from integrations.mosquitto import FOUND, start_mosquitto
from integrations.receiver import SECRET, start_receiver
from rtsp_fixture import start_rtsp_server
from running import reserved_port

from stream.settings.presets import load
from tools import ctl
from tools.doctor import outputs, places


def looked_at(check, keys):
    """(state, text, mend) of each finding."""
    return [(f.state, f.text, f.mend) for f in check(load("lite", keys))]


@contextmanager
def answering(reply):
    """A server that answers `reply` to whatever comes first."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            for _ in range(2):  # the doctor looks whether somebody is there, then asks
                connection, _ = server.accept()
                with connection:
                    if connection.recv(4096) and reply:
                        connection.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_nothing_is_said_of_outputs_that_are_off():
    for check in (outputs.mqtt, outputs.webhooks, outputs.pushes):
        assert looked_at(check, {}) == []


def test_outputs_that_nobody_listens_for_are_said_with_what_to_mend_and_no_secret(capsys):
    with reserved_port() as port:
        code = ctl.main(
            ["doctor", "lite", "--no-camera", "--json", "--mqtt", f"mqtt://me:pass-word@127.0.0.1:{port}",
             "--webhook", f"http://127.0.0.1:{port}/hook/of-the-secret-path", "--set", f"webhooks.secret={SECRET}",
             "--rtsp-push", f"rtsp://me:pass-word@127.0.0.1:{port}/live"]
        )  # fmt: skip
    out = capsys.readouterr().out
    found = {f["check"]: f for f in json.loads(out)["findings"]}
    assert code == 1
    for check, key in (("mqtt", "mqtt.url"), ("webhooks", "webhooks.urls"), ("push", "renderer.rtsp_push")):
        assert found[check]["state"] == "problem"
        assert f"127.0.0.1:{port} (Connection refused)" in found[check]["text"]
        assert key in found[check]["mend"]
    for secret in ("pass-word", "of-the-secret-path", SECRET):
        assert secret not in out


def test_a_broker_that_lets_us_in_is_right_and_one_that_does_not_is_said(tmp_path):
    if FOUND is None:
        pytest.skip("NO MQTT TEST WAS RUN: mosquitto is not there")
    users = tmp_path / "users"
    subprocess.run(
        ["mosquitto_passwd", "-b", "-c", users, "door", "a-password"], check=True, capture_output=True
    )  # fmt: skip
    with start_mosquitto(tmp_path, f"password_file {users}") as broker:
        ((state, text, mend),) = looked_at(outputs.mqtt, {"mqtt.url": broker.url})
        assert (state, "does not let us in" in text) == ("problem", True)
        assert "user and the password" in mend
        right = broker.url.replace("mqtt://", "mqtt://door:a-password@")
        assert looked_at(outputs.mqtt, {"mqtt.url": right}) == [
            ("ok", f"the broker at 127.0.0.1:{broker.port} lets us in", "")
        ]


def test_a_receiver_is_asked_for_a_connection_and_gets_no_event():
    with start_receiver() as receiver:
        keys = {"webhooks.urls": [receiver.url], "webhooks.secret": SECRET}
        ((state, text, _),) = looked_at(outputs.webhooks, keys)
        assert (state, receiver.taken, receiver.forged) == ("ok", [], 0)
        assert "takes connections" in text
        keys["webhooks.urls"] = [receiver.url.replace("http:", "https:")]
        ((state, text, _),) = looked_at(outputs.webhooks, keys)
        assert (state, "no receiver at" in text) == ("problem", True)


def test_webhooks_without_a_secret_are_a_finding_of_the_config(capsys):
    assert ctl.main(["doctor", "lite", "--no-camera", "--webhook", "https://example.org/hook"]) == 1
    assert "problem  config       webhooks.secret is not set" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("reply", "state", "text"),
    [
        (b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS, ANNOUNCE, RECORD\r\n\r\n", "ok", "takes streams"),
        (b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: OPTIONS, DESCRIBE, PLAY\r\n\r\n", "problem", "takes no streams"),
        (b"RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\n\r\n", "ok", "speaks RTSP"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "problem", "does not speak RTSP"),
        (b"", "problem", "does not speak RTSP"),
    ],
)
def test_a_server_that_is_pushed_to_is_asked_whether_it_takes_streams(reply, state, text):
    with answering(reply) as port:
        ((found, said, _),) = looked_at(outputs.pushes, {"renderer.rtsp_push": f"rtsp://127.0.0.1:{port}/live"})
    assert (found, text in said) == (state, True)


@pytest.mark.rtsp
def test_a_real_server_that_takes_streams_is_right():
    with start_rtsp_server(take=True) as server:
        ((state, text, _),) = looked_at(outputs.pushes, {"renderer.rtsp_push": server.push_url})
    assert (state, "takes streams" in text) == ("ok", True)


def test_whoever_takes_a_connection_and_says_nothing_is_not_waited_for_long(monkeypatch, tmp_path):
    monkeypatch.setattr(outputs, "ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel takes the connection, nobody answers
        port = silent.getsockname()[1]
        ((state, _, _),) = looked_at(outputs.pushes, {"renderer.rtsp_push": f"rtsp://127.0.0.1:{port}/live"})
        assert state == "problem"
        ((state, _, _),) = looked_at(outputs.mqtt, {"mqtt.url": f"mqtt://127.0.0.1:{port}"})
        assert state == "problem"
    forever = threading.Event()

    def search(*_):  # as looking for a name may take
        forever.wait()
        raise OSError

    monkeypatch.setattr(socket, "create_connection", search)
    assert outputs.why_not_reached("a-name", 1) == "no answer within 0.4 s"
    forever.set()


def test_a_certificate_that_nobody_trusts_is_said(tmp_path, monkeypatch):
    def refuse(*_):
        import ssl

        error = ssl.SSLCertVerificationError("x")
        error.verify_message = "self-signed certificate"
        raise error

    monkeypatch.setattr(socket, "create_connection", refuse)
    assert outputs.why_not_reached("host", 443, tls=True) == "its certificate: self-signed certificate"


@pytest.mark.parametrize(
    ("line", "readable_is_wrong"),
    [
        ("webhooks: {secret: a secret of mine}", True),
        ("  secret: 'a secret of mine'", True),
        ("  secret: ${HOOK_SECRET}", False),
        ("  secret: '${file:/run/secrets/hook}'", False),
        ('  secret: ""', False),
        ("# secret: abc", False),
        ("  url: mqtt://me:word@host", True),
    ],
)
def test_a_config_that_holds_a_secret_is_for_its_user_alone(tmp_path, line, readable_is_wrong):
    file = tmp_path / "door.yaml"
    file.write_text(f"base: lite\n{line}\n")
    file.chmod(0o644)
    web = SimpleNamespace(passwords="", key="", metrics_token="")
    config = SimpleNamespace(web=web, graph=SimpleNamespace(keys=""))
    found = list(places.secrets(config, str(file)))
    assert [f.state for f in found] == (["problem"] if readable_is_wrong else [])
