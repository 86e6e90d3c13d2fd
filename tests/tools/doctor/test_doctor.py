"""`tools/ctl.py doctor`: each part of a set-up is right, or it is said what to mend; no traceback, no password."""

from __future__ import annotations

import itertools
import json
import os
import socket
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from nodes.capture.source import SourceInfo
from stream.errors import SourceError
from stream.settings.presets import load
from stream.weights import published
from tools import ctl
from tools.doctor import feeds, machine, places
from tools.doctor.findings import look

BIG = "A" * 20


def doctor(capsys, *arguments):
    """The exit code, and the findings as (check, state, text and mend)."""
    code = ctl.main(["doctor", *map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    assert err == ""
    return code, [(f["check"], f["state"], f"{f['text']} -> {f['mend']}") for f in json.loads(out)["findings"]]


def only(found, check):
    """The findings of one check."""
    return [(state, text) for name, state, text in found if name == check]


def states(findings):
    return [f.state for f in findings]


def test_a_set_up_that_is_right_is_said_to_be(capsys, tmp_path):
    code, found = doctor(capsys, "lite", "--state", tmp_path / "state", "--record", f"{tmp_path}/rec/")
    assert code == 0
    checks = {name for name, _, _ in found}
    assert checks >= {"python", "packages", "config", "sockets", "descriptors", "folders", "state", "camera", "clock"}
    assert "problem" not in {state for _, state, _ in found}
    assert only(found, "camera") == [("ok", "camera: 640x360, 25 frames/s -> ")]
    assert len(only(found, "folders")) == 2
    assert list(tmp_path.iterdir()) == []  # it only looks


def test_the_lines_say_what_to_mend_and_the_exit_code_that_something_is(capsys):
    assert ctl.main(["doctor", "lite", "--set", "tracker.horizn=4"]) == 1
    out = capsys.readouterr().out
    assert "problem  config       tracker.horizn: unknown key\n" in out
    assert "-> did you mean 'horizon'?\n" in out
    assert "1 to mend" in out


@pytest.mark.parametrize("config", ["no-such-preset", "gone.yaml", "."])
def test_a_config_that_can_not_be_read_is_a_finding(capsys, config):
    code, found = doctor(capsys, config)
    assert code == 1
    assert [state for state, _ in only(found, "config")] == ["problem"]
    assert only(found, "clock")  # the machine is looked at all the same


def test_no_password_is_shown(capsys, tmp_path):
    config = tmp_path / "door.yaml"
    config.write_text(f"base: rtsp\ncapture: {{source: 'rtsp://admin:{BIG}@127.0.0.1:1/x?pwd={BIG}9'}}\n")
    config.chmod(0o644)
    for arguments in (["--json"], []):
        assert ctl.main(["doctor", str(config), *arguments]) == 1
        out = capsys.readouterr().out
        assert BIG not in out
        assert "nothing listens at 127.0.0.1:1" in out
        assert "chmod 600" in out  # a password is in the file, and others can read it
    config.chmod(0o600)
    assert only(doctor(capsys, config, "--no-camera")[1], "permissions")[0][0] == "ok"


def test_ports_in_use_and_folders_that_can_not_be_written_are_found(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, found = doctor(
            capsys, "lite", "--no-camera", "--set", f"publisher.endpoint=tcp://127.0.0.1:{port}",
            "--set", f"web.endpoint=127.0.0.1:{port}", "--record", tmp_path / "file" / "out.mp4",
            "--set", "renderer.save_masks=/proc/masks",
        )  # fmt: skip
    assert code == 1
    in_use = only(found, "ports")
    assert len(in_use) == 2
    assert all(state == "problem" and "in use" in text for state, text in in_use)
    (record_state, record), (masks_state, masks) = only(found, "folders")
    assert (record_state, masks_state) == ("problem", "problem")
    assert "is a file" in record
    assert "/proc can't be written" in masks


def test_little_room_and_limits_that_no_disk_holds_are_found(tmp_path):
    keys = {"renderer.record": f"{tmp_path}/rec/", "recording.max_mb": 1e9, "recording.keep_free_mb": 5000}
    found = list(places.folders(load("lite", keys), free_bytes=lambda _: 4_000_000_000))
    assert states(found) == ["problem", "warning"]
    assert "4,000 MB are free" in found[0].text
    assert "5,000 MB are to stay free" in found[0].text


def test_a_state_folder_of_a_newer_version_is_found(capsys, tmp_path):
    (tmp_path / "state.json").write_text('{"state": 9}')
    code, found = doctor(capsys, "lite", "--no-camera", "--state", tmp_path)
    assert code == 1
    assert "state of version 9" in only(found, "state")[0][1]


def test_weights_are_looked_for_and_their_sums_compared(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    config = load("sam_pt", {"tracker.backend": "raft", "decoder.model": "vit_b"})
    missing = list(feeds.weights(config))
    assert states(missing) == ["problem", "problem"]
    assert all("fetch_weights.py" in f.mend for f in missing)
    published.folder().mkdir(parents=True)
    for name in ("raft", "sam_vit_b"):
        (published.folder() / published.published(name).file).write_bytes(b"PK\x03\x04 spoilt")
    spoilt = list(feeds.weights(config))
    assert all("not the published file" in f.text for f in spoilt)


class FakeCamera:
    """A camera that promises 25 frames a second, and gives a frame for each look at the clock."""

    live = True

    def __init__(self, codec="h264", size=(360, 640), error=None):
        self._info, self._error = SourceInfo(size, 25.0, None, codec=codec), error
        self.closed = False

    def open(self):
        if self._error:
            raise self._error
        return self._info

    def read(self):
        return SimpleNamespace()

    def close(self):
        self.closed = True


def look_at(camera, fps=25.0, **keys):
    ticks = itertools.count(0.0, 1 / fps)
    config = load(
        "lite", {"capture.source": "rtsp://127.0.0.1/x", **{k.replace("__", "."): v for k, v in keys.items()}}
    )
    found = feeds.source_findings("door", config, camera, 2.0, lambda: next(ticks))
    assert camera.closed
    return found


def test_a_camera_is_said_to_be_right_with_its_codec_and_rate():
    (found,) = look_at(FakeCamera())
    assert found.state == "ok"
    assert found.text.startswith("door: 640x360, h264, 25 frames/s; 2")


def test_a_camera_that_is_slow_too_large_or_of_another_codec_is_found(tmp_path):
    assert states(look_at(FakeCamera(), fps=9.0)) == ["ok", "warning"]
    assert states(look_at(FakeCamera(size=(20000, 20000)))) == ["ok", "problem"]
    recorded = look_at(FakeCamera(codec="hevc"), renderer__record=f"{tmp_path}/")
    assert states(recorded) == ["ok", "warning"]
    assert "choose H.264" in recorded[1].mend
    refused = look_at(FakeCamera(error=SourceError("nobody is there; switch it on")))
    assert [(f.state, f.text, f.mend) for f in refused] == [("problem", "door: nobody is there", "switch it on")]


def test_a_clock_that_jumps_or_is_not_set_is_found():
    wall = iter([1e10, 1e10 + 5])
    times = iter([1.0, 2.0])
    last = []

    def wall_s():
        last.append(next(wall, None) or last[-1])
        return last[-1]

    clock = machine.Clock(wall_s=wall_s, monotonic_s=lambda: next(times), kernel_state=lambda: 0)
    jumped, fine = clock.findings()
    assert (jumped.state, fine.state) == ("problem", "ok")
    assert "+4.0 s" in jumped.text
    early = machine.Clock(wall_s=lambda: 0.0, monotonic_s=lambda: 0.0, kernel_state=lambda: machine.TIME_ERROR)
    assert states(early.findings()) == ["problem", "warning"]
    assert states(machine.Clock(kernel_state=lambda: -1).findings()) == ["warning"]


def test_packages_that_are_missing_or_of_another_version_are_found():
    def version_of(name):
        if name == "numba":
            raise metadata.PackageNotFoundError(name)
        return "14.0.0" if name == "av" else metadata.version(name)

    config = load("lite", {"web.endpoint": "127.0.0.1:0"})
    found = list(machine.packages(config, version_of))
    assert [f.text.partition(";")[0] for f in found if f.state == "problem"] == [
        "av is 14.0.0",
        "numba is not installed",
    ]
    assert machine.requirement_files(config) == ["requirements-lite.txt", "requirements-web.txt"]
    assert machine.requirement_files(load("sam2_pt")) == [
        "requirements-lite.txt", "requirements.txt", "requirements-sam2.txt",
    ]  # fmt: skip
    for file in Path(machine.ROOT).glob("requirements-*.txt"):
        assert list(machine.needs_of(file))


def test_secrets_that_others_can_read_are_found(tmp_path):
    secret = tmp_path / "passwords"
    secret.write_text("x")
    config = load("lite", {"web.passwords": str(secret), "web.metrics_token": str(tmp_path / "gone")})
    for mode, state in ((0o644, "problem"), (0o600, "ok")):
        secret.chmod(mode)
        assert states(places.secrets(config, "lite")) == [state, "problem"]


def test_root_is_advised_against():
    assert states(machine.user(0)) == ["warning"]
    assert states(machine.user(1000)) == ["ok"]


def test_whatever_a_check_raises_is_a_finding():
    def act():
        yield from machine.python()
        raise ZeroDivisionError("of no kind that is ours")

    first, second = look("x", act)
    assert (first.state, second.state) == ("ok", "problem")
    assert "ZeroDivisionError" in second.text
    (third,) = look("x", lambda: (_ for _ in ()).throw(ModuleNotFoundError("No module named 'zmq'")))
    assert third.state == "problem"


def test_too_few_open_files_are_found(monkeypatch):
    monkeypatch.setattr("resource.getrlimit", lambda _: (64, 64))
    (found,) = machine.descriptors(load("lite"))
    assert found.state == "problem"
    assert os.sysconf("SC_OPEN_MAX") >= 0  # the real limit is untouched
