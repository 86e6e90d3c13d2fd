from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from running import ROOT

from stream.errors import ConfigError
from stream.run_directory import Run, RunDir, find_run, root

GATE = Run(1, "gate", "ipc:///control", "ipc:///publish")


@pytest.fixture
def run_dir():
    made = RunDir.create()
    yield made
    made.remove()


def made_elsewhere(end="os.kill(os.getpid(), 9)"):
    """The folder of a run in another process, which then ends in the way given."""
    text = f"import os; from stream.run_directory import RunDir; d = RunDir.create(); print(d.path, flush=True); {end}"
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=False)
    return Path(done.stdout.strip())


def test_a_run_is_found_by_its_camera_and_leaves_nothing(run_dir):
    with pytest.raises(ConfigError, match="no run is going on"):
        find_run()
    run_dir.announce(GATE)
    assert find_run().camera == "gate"
    with pytest.raises(ConfigError, match="no run of camera 'yard'"):
        find_run("yard")
    again = RunDir.create()
    again.announce(Run(os.getpid(), "yard", "ipc://c", "ipc://p"))
    with pytest.raises(ConfigError, match="2 runs are going on"):
        find_run()
    again.remove()
    assert find_run().camera == "gate"
    run_dir.remove()
    assert not root().exists()


def test_a_run_that_was_killed_is_not_found_and_its_folder_goes_with_the_next_start():
    dead = made_elsewhere()
    (dead / "run.json").write_text(json.dumps(vars(GATE)))
    with pytest.raises(ConfigError, match="no run is going on"):
        find_run()
    assert dead.exists()
    RunDir.create().remove()
    assert not dead.exists()


def test_it_is_the_lock_and_not_the_process_id_that_says_whether_a_run_lives(run_dir):
    """In another container the same process id is another process, or none."""
    foreign = run_dir.path.rename(run_dir.path.with_name("999999999-x"))
    ours = run_dir.path.with_name(f"{os.getpid()}-dead")
    ours.mkdir()
    RunDir.create().remove()
    assert foreign.exists()
    assert not ours.exists()
    run_dir.path = foreign


def test_a_folder_that_is_just_being_made_is_left_alone(run_dir):
    half = run_dir.path.with_name(".new-abc")
    half.mkdir()
    RunDir.create().remove()
    assert half.exists()
    os.utime(half, (0, 0))
    RunDir.create().remove()
    assert not half.exists()


@pytest.mark.parametrize("kind", ["another user's", "missing", "a file", "read-only"])
def test_a_runtime_folder_that_is_not_ours_to_use_is_passed_over(kind, monkeypatch, tmp_path):
    base = tmp_path / "base"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(base))
    if kind == "a file":
        base.write_text("")
    elif kind != "missing":
        base.mkdir()
    if kind == "another user's":
        monkeypatch.setattr(os, "getuid", lambda: base.stat().st_uid + 1)
    if kind == "read-only":
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert base not in root().parents
    assert str(root().parent) in (tempfile.gettempdir(), "/tmp")


def test_a_folder_that_another_user_owns_is_neither_used_nor_asked(run_dir, monkeypatch):
    run_dir.announce(GATE)
    top, uid = root(), os.getuid()
    monkeypatch.setattr("stream.run_directory.root", lambda: top)
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    for use in (find_run, RunDir.create):
        with pytest.raises(ConfigError, match=f"belongs to somebody else \\(user {uid}\\)"):
            use()


def test_a_folder_that_others_may_write_to_is_neither_used_nor_asked(run_dir):
    run_dir.announce(GATE)
    root().chmod(0o777)
    for use in (find_run, RunDir.create):
        with pytest.raises(ConfigError, match="can be written to by other users; `chmod 700"):
            use()


def test_a_link_in_place_of_the_folder_is_refused(tmp_path, own_run_folder):
    root().symlink_to(tmp_path)
    for use in (find_run, RunDir.create):
        with pytest.raises(ConfigError, match="belongs to somebody else"):
            use()


def test_what_a_cleaner_has_removed_is_announced_again(run_dir):
    run_dir.keep()
    assert not (run_dir.path / "run.json").exists()  # it was not announced yet
    run_dir.announce(GATE)
    (run_dir.path / "run.json").unlink()
    run_dir.keep()
    assert find_run() == GATE
    Path(run_dir.path / "run.json").unlink()
    run_dir.path.rmdir()
    run_dir.keep()


@pytest.mark.parametrize(
    ("bound", "announced"),
    [
        ("tcp://0.0.0.0:5556", "tcp://127.0.0.1:5556"),
        ("tcp://*:5556", "tcp://127.0.0.1:5556"),
        ("tcp://[::]:5556", "tcp://[::1]:5556"),
        ("tcp://192.168.1.2:5556", "tcp://192.168.1.2:5556"),
        ("tcp://127.0.0.1:0", ""),
        ("tcp://127.0.0.1:*", ""),
        ("ipc:///tmp/a:0", "ipc:///tmp/a:0"),
    ],
)
def test_tools_are_given_an_address_that_they_can_connect_to(run_dir, bound, announced):
    run_dir.announce(Run(1, "gate", bound, bound))
    assert (find_run().control_endpoint, find_run().publish_endpoint) == (announced, announced)
