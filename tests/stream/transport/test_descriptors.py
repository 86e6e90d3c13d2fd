"""Open files: the limit is raised, and where it is too low the command says so."""

from __future__ import annotations

import builtins
import os
import resource
import subprocess
import sys
from contextlib import nullcontext

import pytest
from running import ROOT

from stream import heartbeat
from stream.errors import ConfigError
from stream.transport import descriptors

RAISE = """
import resource
from stream.transport.descriptors import raise_descriptor_limit
raise_descriptor_limit(threads=False)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def limited(soft, hard, *command):
    """The command with limits of open files of its own."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
    )


def test_the_limit_is_raised_as_far_as_it_may_be():
    assert limited(100, 400, "-c", RAISE).stdout == "400\n"


@pytest.mark.parametrize("most", [32, 64, 127])
def test_a_run_with_too_few_open_files_ends_with_a_message(most):
    done = limited(most, most, "run_stream.py", "--check")
    assert done.returncode == 2
    assert f"error: only {most} files may be open at once; a run needs 128: raise the limit" in done.stderr


def test_each_further_camera_needs_more(tmp_path):
    path = tmp_path / "fleet.yaml"
    path.write_text("{base: lite, cameras: {door: {}, hall: {}, yard: {}}}")
    done = limited(191, 191, "run_stream.py", "--config", str(path), "--check")
    assert done.returncode == 2
    assert "a run of 3 cameras needs 192" in done.stderr


def test_a_camera_for_which_too_few_are_left_is_refused(monkeypatch):
    monkeypatch.setattr(descriptors, "_limit", lambda: 900)
    for free, refused in ((332, False), (331, True)):
        monkeypatch.setattr(descriptors, "free_descriptors", lambda free=free: free)
        with pytest.raises(ConfigError, match="too few for another camera") if refused else nullcontext():
            descriptors.check_room_for_camera(threads=False)


def test_the_heartbeat_survives_that_no_file_can_be_opened(monkeypatch):
    def refuse(*arguments, **keys):
        raise OSError(24, "Too many open files")

    assert heartbeat.resident_mb() > 1
    monkeypatch.setattr(builtins, "open", refuse)
    assert heartbeat.resident_mb() == 0


def test_free_descriptors_are_counted():
    before = descriptors.free_descriptors()
    pipe = os.pipe()
    assert descriptors.free_descriptors() == before - 2
    for fd in pipe:
        os.close(fd)
