"""An RTSP camera for tests: `with start_rtsp_server() as camera: ... camera.url ... camera.kill()`."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from running import reserved_port

SERVER = Path(__file__).with_name("rtsp_server.py")
SYSTEM_PYTHON = "/usr/bin/python3"  # the one that has gi; a virtual environment has not
PACKAGES = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good "
    "gstreamer1.0-plugins-ugly gstreamer1.0-libav"
)
READY_S = 60.0
PROBE = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
missing = [name for name in ("x264enc", "rtph264pay", "videotestsrc") if Gst.ElementFactory.find(name) is None]
raise SystemExit(", ".join(missing) or 0)
"""


@cache
def what_is_missing() -> str:
    """Why no RTSP server can run here; empty where one can."""
    try:
        probe = subprocess.run([SYSTEM_PYTHON, "-c", PROBE], capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        return str(error)
    return "" if probe.returncode == 0 else (probe.stderr.strip().splitlines() or ["GStreamer"])[-1]


def need_rtsp() -> None:
    """Skip the test, loudly, where GStreamer's RTSP server is not installed."""
    if missing := what_is_missing():
        pytest.skip(f"NO RTSP TEST WAS RUN: {missing}; apt-get install {PACKAGES}")


class Camera:
    """A running server process."""

    def __init__(self, process: subprocess.Popen[str], port: int, credentials: str, count_file: Path) -> None:
        self.process = process
        self.port = port
        self.url = f"rtsp://{credentials}127.0.0.1:{port}/cam"
        self._count_file = count_file

    @property
    def push_url(self) -> str:
        """Where a stream may be pushed, if it was started to take one."""
        return self.url.removesuffix("/cam") + "/live"

    def taken(self) -> list[dict[str, Any]]:
        """What was pushed until now, an entry a push: pictures, size (width, height), rgb (mean)."""
        try:
            taken: list[dict[str, Any]] = json.loads(self._count_file.read_text())["taken"]
        except FileNotFoundError:
            return []
        return taken

    def sent(self) -> list[int]:
        """Frames sent to each client until now; up to 0.2 s old while the server runs, exact after `stop`."""
        try:
            clients: list[int] = json.loads(self._count_file.read_text())["clients"]
        except FileNotFoundError:
            return []
        return clients

    def kill(self) -> None:
        """kill -9: no goodbye to the clients."""
        self.process.kill()
        self.process.wait()

    def send(self, word: str) -> None:
        """From now on: ball, black or white (identical) pictures; whole, corrupt or undecodable ones."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def freeze(self) -> None:
        """Leave connections open and say nothing more."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it in order."""
        self.thaw()
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()


@contextmanager
def start_rtsp_server(
    port: int = 0,
    *,
    user: str = "",
    password: str = "",
    file: str = "",
    size: str = "640x360",
    fps: int = 25,
    take: bool = False,
) -> Iterator[Camera]:
    """A camera that listens on 127.0.0.1:`port` until the block ends; a user must be named then.

    `take`: it also takes a stream that is pushed to it.

    0 is any free port. It stays this camera's own until the block ends, so that another can come back on it.
    """
    need_rtsp()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rtsp-"))
        port = port or stack.enter_context(reserved_port())
        count_file = Path(folder) / "counts.json"
        command = [SYSTEM_PYTHON, str(SERVER), "--port", str(port), "--size", size, "--fps", str(fps)]
        command += [
            "--user",
            user,
            "--password",
            password,
            "--file",
            file,
            "--count-file",
            str(count_file),
            "--take-orders",
            *(["--take"] if take else []),
        ]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            bound = _wait_until_ready(process)
            yield Camera(process, bound, f"{user}:{password}@" if user else "", count_file)
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()


def _wait_until_ready(process: subprocess.Popen[str]) -> int:
    """The port, once the server says that it listens."""
    assert process.stdout is not None
    until = time.monotonic() + READY_S
    while time.monotonic() < until and select.select([process.stdout], [], [], until - time.monotonic())[0]:
        line = process.stdout.readline()
        if line.startswith("ready"):
            return int(line.split()[1])
        if not line:
            break
    raise RuntimeError(f"the RTSP server was not ready within {READY_S:g} s (exit code {process.poll()})")
