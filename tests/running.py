"""Start the commands as a user does, and wait for what they do."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S = 60.0
NODES = ("capture", "tracker", "decoder", "renderer", "publisher")
GONE_S = 5.0  # the design's number for "everything is gone"
# The demo scene as a feed that does not end; at 25 frames/s each run would take all of a slow core.
LOOP = ("--realtime", "--set", "capture.demo_frames=100000", "--set", "capture.demo_fps=10")


def until(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """The first true answer of `condition`; fails after `patience_s`."""
    end = time.monotonic() + patience_s
    while not (answer := condition()):
        assert time.monotonic() < end, f"waited {patience_s:g} s in vain for {what}"
        time.sleep(0.02)
    return answer


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """A port of 127.0.0.1 on which nobody listens, and which only a server that asks for it (SO_REUSEADDR) gets."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


class Run:
    """A run_stream.py in a process group of its own."""

    def __init__(self, *arguments: str, cwd: Path | None = None, output: int = subprocess.PIPE) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "run_stream.py"), "--no-dashboard", *map(str, arguments)],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=cwd,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.lines.append(line.rstrip("\n"))

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def says(self, text: str) -> None:
        """Wait for a line that holds `text`."""
        until(lambda: text in self.output or self.process.poll() is not None, f"{text!r}")
        assert text in self.output, f"it ended without {text!r}:\n{self.output}"

    def ctl(self, *arguments: Any, check: bool = True) -> Any:
        """The result of tools/ctl.py, or with check=False its (exit code, error text); in this process, to be quick."""
        from tools import ctl

        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            code = ctl.main([*map(str, arguments)])
        if not check:
            return code, errors.getvalue()
        assert code == 0, f"{errors.getvalue()}\n{self.output}"
        return json.loads(out.getvalue())

    def tracks(self, *ids: int) -> None:
        """Wait until masks of the objects have come out."""

        def there() -> bool:
            assert self.process.poll() is None, self.output
            code, _ = self.ctl("list", check=False)
            if code:
                return False
            areas = {o["id"]: o["area"] for o in self.ctl("list")["objects"]}
            return all(areas.get(i) for i in ids)

        until(there, f"masks of {ids}")

    def pids(self) -> dict[str, int]:
        """Every node's process id, once all are there."""

        def found() -> dict[str, int]:
            pids = {n: v["pid"] for n, v in self.ctl("stats")["nodes"].items()}
            return pids if all(pids.values()) else {}

        answer: dict[str, int] = until(found, "the process ids")
        return answer

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def wait(self, timeout_s: float = PATIENCE_S) -> int:
        """Its exit code, once it has ended."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.close()
            raise AssertionError(f"it does not end:\n{self.output}") from None
        self._reader.join(5)
        return code

    def close(self) -> None:
        """End it, whatever it does."""
        for pid in [self.process.pid, *nodes_of(self.process.pid)]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        self._reader.join(5)
        if self.process.stdout:
            self.process.stdout.close()


def evaluated(folder: Path, *arguments: object) -> dict[str, Any]:
    """What `tools/evaluate.py --json` wrote of a run that worked, in this process."""
    from tools import evaluate

    out = folder / "out.json"
    assert evaluate.main([*map(str, arguments), "--json", str(out)]) == 0
    report: dict[str, Any] = json.loads(out.read_text())
    return report


def nodes_of(pid: int) -> list[int]:
    """Process ids of the nodes that the supervisor `pid` has started and that still live: they name its run folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if b"nodes" in words and any(f"/{pid}-".encode() in w for w in words) and state != "Z":
                found.append(int(entry.name))
    return found


def handles_signals(pid: int) -> bool:
    """Whether the process has a handler of its own for SIGTERM, or holds it back for one."""
    with open(f"/proc/{pid}/status") as status:
        masks = dict(line.split(":\t") for line in status if line.startswith("Sig"))
    return bool((int(masks["SigCgt"], 16) | int(masks["SigBlk"], 16)) & 1 << (signal.SIGTERM - 1))


def crowding() -> float:
    """How many times longer work takes here and now than on a machine that does nothing else; 1 at least."""
    began_s, work_s = time.monotonic(), 0.1
    end_s = time.thread_time() + work_s
    while time.thread_time() < end_s:
        pass
    return max(1.0, (time.monotonic() - began_s) / work_s)


def gone(run: Run, folder: Path) -> bool:
    """True when neither a process nor a socket of the run is left."""
    return run.process.poll() is not None and not nodes_of(run.process.pid) and not list(folder.glob("sam-pt-live-*"))


def video_frames(path: Path) -> int:
    """How many frames a video file holds."""
    import av

    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))
