"""A real mosquitto: what it is told, and what it is told again after it was away."""

from __future__ import annotations

import contextlib
import json
import shutil
import ssl
import subprocess

import pytest
from integrations.mosquitto import FOUND, start_mosquitto, watch
from integrations.wire_events import enter, events, status
from running import until

from nodes.mqtt.client import check_tls, tls_context
from nodes.mqtt.node import make_stage
from stream.errors import ConfigError
from stream.in_memory import InMemoryNode
from stream.settings.presets import load

RUN = "sam-pt-live/runs/door/availability"
CAMERA = "sam-pt-live/cameras/door/"


@contextlib.contextmanager
def telling(url, **keys):
    """The stage with its node; what it hears is given by `publish`."""
    overrides = {f"mqtt.{key}": value for key, value in keys.items()}
    node = InMemoryNode()
    stage = make_stage(load("lite", {"capture.camera": "door", "mqtt.url": url, **overrides}), node)
    try:
        yield stage, node
    finally:
        stage.close()


def publish(stage, node, *messages):
    for parts in messages:
        node.listener.publish(parts)
    stage.on_idle()


def counts_of(watcher):
    return json.loads(watcher.retained.get(CAMERA + "counts", b"{}")).get("zones", {}).get("yard", {})


@pytest.fixture
def broker(tmp_path):
    with start_mosquitto(tmp_path) as broker:
        yield broker


def test_a_broker_that_was_away_and_has_forgotten_all_is_told_again(broker):
    with telling(broker.url) as (stage, node), watch(broker) as watcher:
        publish(stage, node, status(), events(enter(), zones={"yard": ([1], 1, 0)}))
        until(lambda: watcher.retained.get(CAMERA + "availability") == b"online", "the camera")
        until(lambda: any(topic == CAMERA + "events" for topic, _ in watcher.live), "the event")
        assert watcher.retained[RUN] == b"online"
        assert counts_of(watcher)["count"] == 1
        assert "homeassistant/device/sam-pt-live_door/config" in watcher.retained

        broker.stop()
        until(lambda: not stage.progress().gauges["connected"], "the loss")
        publish(stage, node, events(enter(2), sequence=1, zones={"yard": ([1, 2], 2, 0)}))  # holds nobody up
        broker.start()
        until(lambda: stage.progress().counters["connections"] == 2, "another connection")
        with watch(broker) as newcomer:
            # What the broker has kept comes in an order of its own.
            until(lambda: newcomer.retained.get(CAMERA + "availability") == b"online", "the camera again")
            until(lambda: counts_of(newcomer).get("entered") == 2, "the counts")
            until(lambda: newcomer.retained.get(RUN) == b"online", "the run")
            until(lambda: CAMERA + "state" in newcomer.retained, "the state")
            assert json.loads(newcomer.retained[CAMERA + "state"])["state"] == "running"
            stage.close()
            until(lambda: newcomer.retained[RUN] == b"offline", "the end")
            assert newcomer.retained[CAMERA + "availability"] == b"offline"


def test_a_picture_with_its_masks_is_asked_for_now_and_then(broker):
    import numpy as np
    from renderer.box_masks import box_object, gray, masks_of

    from stream.messages import Frame, Scene
    from stream.public_wire.messages import pack_scene

    masks = masks_of(box_object(3, (40, 20, 30, 20)), size=(90, 160))
    scene = Scene(frame=Frame(stamp=masks.stamp, rgb=gray((90, 160))), masks=masks)
    parts = pack_scene(scene, "packbits", 80, 1, 0, "p")
    camera = masks.stamp.camera
    with telling(broker.url, snapshot_s=10.0) as (stage, node), watch(broker) as watcher:
        from stream.commands import SetCameras

        stage.handle_command(SetCameras(endpoints={camera: ""}))
        publish(stage, node)
        assert f"scenes/{camera}" in node.listener.topics
        publish(stage, node, parts)
        assert f"scenes/{camera}" not in node.listener.topics  # until the next is due
        topic = f"sam-pt-live/cameras/{camera}/snapshot"
        until(lambda: topic in watcher.retained, "the picture")
        import cv2

        picture = cv2.imdecode(np.frombuffer(watcher.retained[topic], np.uint8), cv2.IMREAD_COLOR)
        assert picture.shape == (90, 160, 3)
        assert np.ptp(picture[25:35, 45:65].astype(int).mean(axis=(0, 1))) > 10  # the mask is drawn in colour
        node.time_s += 10.5
        publish(stage, node)
        assert f"scenes/{camera}" in node.listener.topics


def test_a_user_with_a_password_is_let_in_and_another_waits(tmp_path):
    if FOUND is None:
        pytest.skip("NO MQTT TEST WAS RUN: mosquitto is not there")
    passwd = shutil.which("mosquitto_passwd") or "/usr/bin/mosquitto_passwd"
    subprocess.run([passwd, "-b", "-c", tmp_path / "users", "door", "p@ss/word"], check=True, capture_output=True)
    lines = (f"password_file {tmp_path / 'users'}",)
    with start_mosquitto(tmp_path, *lines) as broker:
        wrong = broker.url.replace("mqtt://", "mqtt://door:wrong@")
        right = broker.url.replace("mqtt://", "mqtt://door:p%40ss%2Fword@")
        with watch(broker, user="door", password="p@ss/word") as watcher:
            with telling(wrong) as (stage, node):
                publish(stage, node, status())
                until(lambda: stage._client._warned, "the refusal")
                assert stage.progress().counters["connections"] == 0
            with telling(right) as (stage, node):
                publish(stage, node, status())
                until(lambda: watcher.retained.get(CAMERA + "availability") == b"online", "the camera")


def test_tls_is_spoken_with_a_broker_whose_authority_is_named(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not there: TLS is NOT TESTED")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )  # fmt: skip
    with start_mosquitto(tmp_path, f"certfile {certificate}", f"keyfile {key}") as broker:
        url = broker.url.replace("mqtt://", "mqtts://")
        with watch(broker, ca=str(certificate)) as watcher, telling(url, ca=str(certificate)) as (stage, node):
            publish(stage, node, status())
            until(lambda: watcher.retained.get(CAMERA + "availability") == b"online", "the camera")
    context = tls_context(load("lite", {"mqtt.url": url}).mqtt)  # with the authorities of the system
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"url": "tcp://host"}, r"--mqtt \(mqtt.url\) is 'tcp://host'; needs mqtt://HOST"),
        ({"url": "mqtt://"}, "needs mqtt://HOST"),
        ({"url": "mqtt://u:secret-word@host/topic"}, r"is 'mqtt://\*\*\*@host/topic'; needs nothing behind HOST:PORT"),
        ({"url": "mqtt://host", "ca": "ca.pem"}, "mqtt.ca and mqtt.certificate are for TLS"),
        ({"url": "mqtts://host", "key": "key.pem"}, "mqtt.certificate is not set, mqtt.key is"),
        ({"prefix": "a/#"}, "mqtt.prefix is 'a/#'; needs letters"),
    ],
)
def test_what_can_not_work_is_refused(keys, message):
    with pytest.raises(ConfigError, match=message):
        load("lite", {f"mqtt.{key}": value for key, value in keys.items()})


def test_a_file_that_holds_no_certificate_is_refused(tmp_path):
    (tmp_path / "ca.pem").write_text("nothing")
    config = load("lite", {"mqtt.url": "mqtts://host", "mqtt.ca": str(tmp_path / "ca.pem")})
    with pytest.raises(ConfigError, match=r"mqtt.ca .*ca.pem: no certificates that TLS can use"):
        check_tls(config.mqtt)
