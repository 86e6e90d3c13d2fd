"""The files of docs/deploy: the unit is one that systemd takes, and all name what is there."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import yaml
from running import ROOT

from stream.command_line import read_command_line
from stream.settings.presets import load

DEPLOY = ROOT / "docs" / "deploy"
UNIT = DEPLOY / "sam-pt-live.service"
LEAST_EXPOSED = 20  # tenths, as `systemd-analyze security --threshold` counts

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="SYSTEMD IS NOT HERE (systemd-analyze), so the unit is not verified"
)


@needs_systemd
def test_systemd_takes_the_unit(tmp_path):
    program = tmp_path / "opt" / ".venv" / "bin"
    program.mkdir(parents=True)
    (program / "python").symlink_to("/bin/true")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/sam-pt-live", str(tmp_path / "opt")))
    answer = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    own = [line for line in (answer.stdout + answer.stderr).splitlines() if UNIT.name in line]
    assert (answer.returncode, own) == (0, [])
    broken = tmp_path / "broken.service"
    broken.write_text(unit.read_text().replace("Type=notify", "Type=notfy").replace("ExecStart=", "ExecStrt="))
    assert subprocess.run(["systemd-analyze", "verify", broken], capture_output=True, check=False).returncode != 0


@needs_systemd
def test_the_unit_is_exposed_little():
    command = ["systemd-analyze", "security", "--offline=yes", f"--threshold={LEAST_EXPOSED}", UNIT]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unrecognized option" in answer.stderr:
        pytest.skip("this systemd-analyze rates no files")
    assert answer.returncode == 0, answer.stdout[-400:]


def test_the_unit_asks_for_what_the_run_tells():
    text = UNIT.read_text()
    for line in ("Type=notify", "WatchdogSec=60", "Restart=on-failure", "RestartPreventExitStatus=2"):
        assert f"\n{line}\n" in text


@pytest.mark.parametrize("file", ["unit", "Dockerfile", "compose"])
def test_the_command_lines_are_ones_that_a_run_takes(file, monkeypatch):
    monkeypatch.setenv("CAMERA", "rtsp://192.0.2.1/door")
    if file == "unit":
        line = re.search(r"^ExecStart=\S+ run_stream.py ((?:.*\\\n)*.*)$", UNIT.read_text(), re.M)[1]
        arguments = line.replace("\\\n", " ").split()
    elif file == "Dockerfile":
        text = (DEPLOY / "Dockerfile").read_text()
        arguments = yaml.safe_load(re.search(r"^CMD (\[.*\])$", text, re.M)[1])
    else:
        arguments = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["sam-pt-live"]["command"]
    inside = "/etc/sam-pt-live/camera.yaml"
    config = read_command_line([a.replace(inside, str(DEPLOY / "camera.yaml")) for a in arguments]).config
    assert config.supervisor.state == "/var/lib/sam-pt-live"
    if file != "Dockerfile":
        assert (config.capture.source, config.recording.max_days) == ("rtsp://192.0.2.1/door", 14)


def test_the_config_of_the_service_loads(monkeypatch):
    monkeypatch.setenv("CAMERA", "rtsp://192.0.2.1/door")
    assert load(str(DEPLOY / "camera.yaml")).capture.camera == "door"


def test_what_could_not_be_built_or_run_here_says_so():
    assert "NOT BUILT" in (DEPLOY / "Dockerfile").read_text().splitlines()[0]
    assert "NOT RUN" in (DEPLOY / "compose.yaml").read_text().splitlines()[0]
    assert "Not built and not run" in (ROOT / "docs/deploy.md").read_text()


def test_the_container_s_health_is_that_of_the_stream():
    text = (DEPLOY / "Dockerfile").read_text()
    assert re.search(r"HEALTHCHECK .*\\\n +CMD .*127\.0\.0\.1:8080/healthz", text)
    for path in re.findall(r"^COPY (?!requirements)(\S+) ", text, re.M):
        assert (ROOT / path).exists(), path


def test_scripts_parse():
    subprocess.run(["sh", "-n", DEPLOY / "install.sh"], check=True)
