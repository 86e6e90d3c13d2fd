from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from running import ROOT, until

from stream.console import output
from stream.console.output import Output, outputs
from stream.settings.secrets import remember


class Pipe:
    """A pipe of 4 KB that nobody reads until a test does."""

    def __init__(self, encoding="utf-8"):
        import fcntl

        self.read_fd, write_fd = os.pipe()
        fcntl.fcntl(write_fd, fcntl.F_SETPIPE_SZ, 4096)
        self.writer = open(write_fd, "w", encoding=encoding)  # noqa: SIM115
        self.output = Output(self.writer)

    def read_all(self):
        os.set_blocking(self.read_fd, False)
        text = b""

        def all_written():
            nonlocal text
            try:
                text += os.read(self.read_fd, 1 << 16)
            except BlockingIOError:
                pass
            self.output.drain(0.01)
            return not self.output._waiting and not self.output._busy

        until(all_written, "all to be written")
        try:
            return text + os.read(self.read_fd, 1 << 16)
        except BlockingIOError:
            return text


@pytest.fixture
def pipe():
    made = Pipe()
    yield made
    os.close(made.read_fd)
    made.writer.close()


def test_lines_come_out_in_order_and_what_is_no_line_yet_with_them(pipe):
    print("one", file=pipe.output)
    print("two", end="", file=pipe.output)
    assert pipe.read_all() == b"one\ntwo"


def test_a_reader_that_stalls_holds_nobody_up_and_is_told_what_it_missed(pipe, monkeypatch):
    monkeypatch.setattr(output, "ROOM", 20_000)
    pipe.output.say_dropped_by(lambda count: f"missing: {count}")
    for i in range(1000):
        print(f"{i:99}", file=pipe.output)
    written, due = 0, 0
    for line in pipe.read_all().decode().splitlines():
        if line.startswith("missing: "):
            due += int(line.removeprefix("missing: "))
        else:
            assert int(line) == due
            due, written = due + 1, written + 1
    assert due == 1000
    assert 150 < written < 500
    print("again", file=pipe.output)
    assert pipe.read_all() == b"again\n"


def test_the_end_does_not_wait_for_a_reader_that_stalls(pipe):
    import time

    print("x" * 10_000, file=pipe.output)
    began = time.monotonic()
    pipe.output.drain(0.1)
    assert time.monotonic() - began < 5


def test_a_reader_that_is_gone_is_no_error():
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    with open(write_fd, "w") as stream:
        gone = Output(stream)
        print("x", file=gone)
        gone.drain()


def test_a_stream_that_was_closed_is_no_error():
    closed = Output(None)
    print("x", file=closed)
    closed.drain()
    os.close(closed.fileno())


def test_what_the_encoding_lacks_is_escaped():
    narrow = Pipe("latin-1")
    print("é 録", file=narrow.output)
    assert narrow.read_all() == b"\xe9 \\u9332\n"


def test_a_terminal_that_another_program_made_non_blocking_gets_all(pipe):
    os.set_blocking(pipe.writer.fileno(), False)
    for i in range(200):
        print(f"{i:99}", file=pipe.output)
    assert pipe.read_all().count(b"\n") == 200


def test_credentials_are_hidden_in_whatever_is_printed(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    below = sys.stderr
    remember("rtsp://admin:hunter2secret@camera/x")
    with outputs():
        print("the password is hunter2secret", file=sys.stderr)
    assert below.getvalue() == "the password is ***\n"
    assert sys.stderr is below


@pytest.mark.parametrize("closed", ["0", "1", "2", "0, 1, 2"])
def test_a_file_never_gets_the_number_of_a_closed_stream(closed, tmp_path):
    text = (
        f"import os, sys; sys.path.insert(0, {str(ROOT)!r}); from stream.console.output import outputs\n"
        "with outputs():\n"
        f"    file = open({str(tmp_path / 'file')!r}, 'w')\n"
        "    print('out'); print('err', file=sys.stderr)\n"
        "    os.write(2, b'a library')\n"
        "    file.write(str(file.fileno() > 2))"
    )
    closing = " ".join(f"{number}>&-" for number in closed.split(", "))
    done = subprocess.run(["bash", "-c", f'exec "$0" -c "$1" {closing}', sys.executable, text], check=False)
    assert done.returncode == 0
    assert (tmp_path / "file").read_text() == "True"
