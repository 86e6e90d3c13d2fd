from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from running import ROOT

from stream.console.process_arguments import _hidden, hide_credentials
from stream.settings.secrets import redact

SHOW = (
    "import sys; from stream.console.process_arguments import hide_credentials; hide_credentials(sys.argv[1:]);"
    "print(open('/proc/self/cmdline').read().split(chr(0))[3:-1]); print(sys.argv[1:])"
)


def shown(*arguments):
    """The arguments as `ps` sees them, and as the process does."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    seen, own = done.stdout.splitlines()
    return ast.literal_eval(seen), own


@pytest.mark.parametrize(
    "argument",
    [
        "rtsp://admin:hunter2secret@host/cam",
        "--source=rtsp://admin:hunter2secret@host/cam",
        "capture.source=rtsp://admin:hunter2secret@host/cam",
        "rtsp://host/cam?user=admin&password=hunter2secret",
        "rtsp://admin:hunter2secret@[::1]:554/ü",
    ],
)
def test_a_password_is_not_in_the_list_of_processes(argument):
    seen, own = shown("--before", argument, "--after")
    assert "hunter2secret" not in "".join(seen)
    assert (seen[0], seen[-1]) == ("--before", "--after")
    assert len(seen[1].encode()) == len(argument.encode())
    assert "hunter2secret" in own


def test_arguments_without_credentials_stay_as_they_are():
    arguments = ["--source", "rtsp://host/cam", "--point", "1,2", ""]
    assert shown(*arguments)[0] == arguments


@pytest.mark.parametrize("argument", ["rtsp://a@h", "rtsp://a:b@h/x", "rtsp://a:bcdefghijklmnop@h"])
def test_the_length_stays(argument):
    assert len(_hidden(argument.encode())) == len(argument)


@pytest.mark.parametrize(
    "source", ["rtsp:/admin:hunter2secret@host/x", "rtsp//admin:hunter2secret@host", "admin:hunter2secret@host/x"]
)
@pytest.mark.parametrize("form", ["{}", "--source={}", "capture.source={}"])
def test_the_password_of_a_mistyped_source_is_in_no_error(source, form):
    hide_credentials(["--source", source] if form == "{}" else [form.format(source)])
    assert "hunter2secret" not in redact(f"--source {source}: no such file")
