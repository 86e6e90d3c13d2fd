"""The project as a whole: presets load, the layout stands, no file names our machines (its pages: test_docs.py)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stream.settings.presets import CONFIG_DIR, load
from stream.weights import published

ROOT = Path(__file__).resolve().parent.parent
PRESETS = sorted(path.stem for path in CONFIG_DIR.glob("*.yaml"))
OURS = ("stream", "nodes", "configs", "tools", "tests", "docs", ".ci")
MACHINE_PATHS = ("/wor" + "k/", "../sha" + "red", "/ro" + "ot/")  # in two halves, so that this file is clean itself


def own_files() -> list[Path]:
    """What belongs into the repository: no outputs, no caches."""
    found = [p for p in ROOT.iterdir() if p.is_file()]
    found += [p for room in OURS for p in (ROOT / room).rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    return [p for p in found if p.suffix not in (".png", ".gif", ".mp4", ".npz")]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_passes_the_check(preset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    published.folder().mkdir(parents=True)
    for checkpoint in published.PUBLISHED.values():  # --check asks whether weights are there, and loads none
        (published.folder() / checkpoint.file).touch()
    answer = subprocess.run(
        [sys.executable, ROOT / "run_stream.py", "--config", preset, "--check"],
        capture_output=True,
        text=True,
        cwd=tmp_path,  # demo names a folder for its outputs
        check=False,
    )
    assert answer.returncode == 0, answer.stderr


def test_a_file_of_ones_own_lays_its_keys_over_a_preset(tmp_path: Path) -> None:
    (tmp_path / "door.yaml").write_text("base: rtsp\ncapture:\n  camera: door\n")
    config = load(str(tmp_path / "door.yaml"), {"capture.source": "rtsp://camera/1"})
    assert (config.capture.camera, config.capture.source) == ("door", "rtsp://camera/1")
    assert config.capture.wait_for_source  # from rtsp
    assert config.tracker.backend == "lucas_kanade"  # from lite, under rtsp


@pytest.mark.parametrize("preset", PRESETS)
def test_every_key_of_a_preset_says_what_it_is_for(preset: str) -> None:
    lines = (CONFIG_DIR / f"{preset}.yaml").read_text("utf-8").splitlines()
    keys = [line for line in lines if re.match(r"  \w+: ", line)]
    bare = [key for key in keys if "#" not in key]
    assert len(bare) <= 3, f"without a comment: {bare}"


def test_lite_needs_no_torch() -> None:
    needs = [line.partition("#")[0] for line in (ROOT / "requirements-lite.txt").read_text("utf-8").splitlines()]
    assert not [n for n in needs if re.match(r"torch|segment|timm|tensor|onnx", n)]
    assert "-r requirements-lite.txt" in (ROOT / "requirements.txt").read_text("utf-8")
    assert "-r requirements.txt" in (ROOT / "requirements-dev.txt").read_text("utf-8")


def test_make_installs_pinned_versions_that_the_ranges_allow() -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if "==" in line)
    pins = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins.items()}
    lines = [line for file in ROOT.glob("requirements*.txt") for line in file.read_text("utf-8").splitlines()]
    needs = [match for line in lines if (match := re.match(r"([\w.-]+)>=([\d.]+),<([\d.]+)", line))]
    assert len(needs) == len([line for line in lines if line.strip() and line[0] not in "#-"]), "each has a range"
    for name, lowest, beyond in (need.groups() for need in needs):
        pinned, low, high = (tuple(map(int, v.split("."))) for v in (pins[name.lower()], lowest, beyond))
        assert low <= (*pinned, 0) < high, f"{name} {pinned}"
    assert "--constraint constraints.txt" in (ROOT / "Makefile").read_text("utf-8")


def test_the_layout_stands() -> None:
    for folder in ("stream", "nodes", "configs", "tools", "tests"):
        assert (ROOT / folder).is_dir()
    for file in ("run_stream.py", "requirements.txt", "Makefile", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md"):
        assert (ROOT / file).is_file()
    for script in (".ci/run", "tools/check", "tools/make_venv", "tools/system_packages", "tools/benchmark.py"):
        assert os.access(ROOT / script, os.X_OK), f"{script} can't be run"


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    for path in own_files():
        text = path.read_text("utf-8", errors="replace")
        assert not [name for name in MACHINE_PATHS if name in text], path


def test_scripts_parse() -> None:
    for script in (".ci/run", "tools/check", "tools/make_venv", "tools/system_packages"):
        subprocess.run(["bash", "-n", ROOT / script], check=True)


def test_a_python_too_old_is_refused_in_one_sentence(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\necho 3.8\n")
    old.chmod(0o755)
    answer = subprocess.run(
        [ROOT / "tools/make_venv", old, tmp_path / "venv"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert "is Python 3.8; needs 3.11 to 3.13" in answer.stderr
    assert not (tmp_path / "venv").exists()


def test_check_refuses_a_step_that_it_does_not_know() -> None:
    answer = subprocess.run([ROOT / "tools/check", "everything"], capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert "unknown step everything" in answer.stderr
