"""compose.yaml as Docker would take it: what it names is there, a run takes its config, a broker its broker's."""

from __future__ import annotations

import getpass
import io
import re
import subprocess

import pytest
import yaml
from integrations.mosquitto import FOUND
from running import ROOT, reserved_port, until

from stream.command_line import read_command_line
from stream.console.start_checks import check_start
from tools import ctl

DEPLOY = ROOT / "docs" / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
RUN, TOOLS = SERVICES["sam-pt-live"], SERVICES["sam-pt-live-tools"]
FOLDER, CONFIG = "/var/lib/sam-pt-live", "/etc/sam-pt-live/camera.yaml"


def volumes():
    """(service, what is mounted, where) of every volume."""
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            yield name, *volume.split(":")[:2]


def test_files_volumes_services_and_build_targets_that_it_names_are_there():
    build = RUN["build"]
    dockerfile = (DEPLOY / build["context"] / build["dockerfile"]).resolve()
    assert dockerfile == DEPLOY / "Dockerfile"
    text = dockerfile.read_text()
    assert f" AS {build['target']}\n" in text
    assert " AS cuda\n" in text  # that a comment names
    for name, what, where in volumes():
        if what.startswith("."):
            assert (DEPLOY / what).is_file(), (name, what)
        else:
            assert what in COMPOSE["volumes"], (name, what)
        if where == FOLDER:
            assert f"VOLUME {FOLDER}\n" in text
    assert set(RUN["depends_on"]) == SERVICES.keys() - {"sam-pt-live", "sam-pt-live-tools"}
    hosts = re.findall(r"\w+://(\w+):\d+", " ".join([*RUN["command"], *RUN["environment"].values()]))
    assert sorted(hosts) == ["mediamtx", "mosquitto"]
    uid = re.search(r"useradd .*--uid (\d+)", text)[1]
    assert any(f"uid={uid},gid={uid}" in line for line in RUN["tmpfs"])
    entry = TOOLS["entrypoint"]
    assert (entry[0], ROOT / entry[1]) == (".venv/bin/python", ROOT / "tools" / "ctl.py")


def test_a_run_takes_its_config_once_the_password_is_there(monkeypatch, tmp_path, capsys):
    """What `--check` does, with the container's folders in another place."""
    for name, value in RUN["environment"].items():
        monkeypatch.setenv(name, re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", value))  # as where CAMERA is not set
    first = re.search(r"# .* run --rm sam-pt-live-tools (.*)$", (DEPLOY / "compose.yaml").read_text(), re.M)[1]
    monkeypatch.setattr("sys.stdin", io.StringIO("a password of the test\n"))
    assert ctl.main(first.replace(FOLDER, str(tmp_path)).split()) == 0
    camera = next(DEPLOY / what for _, what, where in volumes() if where == CONFIG)
    arguments = [a.replace(FOLDER, str(tmp_path)).replace(CONFIG, str(camera)) for a in RUN["command"]]
    config = read_command_line(arguments).config
    check_start(config)
    assert config.mqtt.url == "mqtt://mosquitto:1883"
    assert config.capture.source == "rtsp://mediamtx:8554/door"
    assert (tmp_path / "passwords").stat().st_mode & 0o777 == 0o600
    (port,) = RUN["ports"]
    assert port == f"127.0.0.1:8080:{config.web.endpoint.rpartition(':')[2]}"
    assert capsys.readouterr().err == ""


def test_the_broker_takes_its_config_and_anybody_in_its_network(tmp_path):
    if FOUND is None:
        pytest.skip("NO BROKER IS HERE: mosquitto is not there, so its config is not tried")
    from paho.mqtt import client as paho

    text = (DEPLOY / "mosquitto.conf").read_text()
    connected = []
    with reserved_port() as port:
        own = tmp_path / "mosquitto.conf"
        own.write_text(f"user {getpass.getuser()}\n" + text.replace("listener 1883", f"listener {port}"))
        broker = subprocess.Popen([FOUND, "-c", own], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        client.on_connect = lambda *answer: connected.append(answer[3])
        client.reconnect_delay_set(min_delay=1, max_delay=1)
        client.connect_async("127.0.0.1", port)
        client.loop_start()
        try:
            until(lambda: connected, "the broker's answer")
        finally:
            client.disconnect()
            client.loop_stop()
            broker.kill()
            broker.wait()
    assert not connected[0].is_failure
