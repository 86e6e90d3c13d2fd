"""`run_stream.py` as a user starts it, with a consumer at its PUB socket: what was seen from outside."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from stream.errors import MessageError, StreamError
from stream.public_wire.messages import Received, unpack_masks
from stream.transport.service_sockets import Listener, RequestClient
from stream.transport.sockets import Context
from stream.transport.wire import from_json, to_json
from tools.bench.usage import Usage, usage_of_graph

COMMAND = (sys.executable, str(Path(__file__).resolve().parents[2] / "run_stream.py"))
SILENCE_S = 60.0  # a run that gives nothing for so long has failed
STOP_S = 10.0
PROGRESS_S = 5.0


class GraphRun:
    """One run of the command, ended with the `with` block."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="spl-bench-")
        self.folder = Path(self._folder.name)
        self._socket = self.folder / "masks"
        self._log = (self.folder / "log").open("w+b")
        self.control = f"ipc://{self.folder / 'control'}"
        own = ["--no-dashboard", "--publish", f"ipc://{self._socket}", "--summary", str(self.folder / "summary.json")]
        own += ["--set", f"control.endpoint={self.control}"]
        self.started_ns = time.monotonic_ns()
        self.process = subprocess.Popen(
            [*COMMAND, *arguments, *own], stdin=subprocess.DEVNULL, stdout=self._log, stderr=subprocess.STDOUT
        )
        self._context = Context()

    def __enter__(self) -> GraphRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._context.close()
        self._log.close()
        self._folder.cleanup()

    def stop(self) -> None:
        """End the run as Ctrl-C does."""
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def messages(self, title: str = "") -> Iterator[Received]:
        """Every masks message until the run has ended; StreamError when it fails. `title` opens progress lines."""
        listener = self._connect()
        received_s = printed_s = began_s = time.monotonic()
        while True:
            parts = listener.recv(50)
            now_s = time.monotonic()
            if parts is not None:
                received_s = now_s
                received = _unpacked(parts)
                if title and now_s - printed_s >= PROGRESS_S:
                    printed_s = now_s
                    print(
                        f"{title}: frame {received.masks.stamp.frame_id} after {now_s - began_s:.0f} s", file=sys.stderr
                    )
                yield received
            elif self.process.poll() is not None:
                return self._check()
            elif now_s - received_s > SILENCE_S:
                raise StreamError(f"no masks came for {SILENCE_S:g} s; its log ends: {self._log_end()}")

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a request; an error's code under `error`."""
        return ask(self.control, method, **params)

    def log(self) -> str:
        """What the run has written to its log up to now."""
        return (self.folder / "log").read_text(errors="replace")

    def usage(self) -> dict[str, Usage]:
        """Usage of every process of the graph, by node name."""
        return usage_of_graph(self.process.pid)

    def summary(self) -> dict[str, Any]:
        """What --summary wrote; the run has ended."""
        self.process.wait(STOP_S)
        summary: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        return summary

    def _connect(self) -> Listener:
        """Subscribe as soon as the socket is there: ZeroMQ's own retries would come up to 0.5 s late."""
        while not self._socket.exists():
            if self.process.poll() is not None:
                self._check()
                raise StreamError(f"the run ended before it published; its log ends: {self._log_end()}")
            time.sleep(0.002)
        return Listener(self._context, f"ipc://{self._socket}", ["masks/"])

    def _check(self) -> None:
        if self.process.returncode:
            raise StreamError(f"the run ended with {self.process.returncode}; its log ends: {self._log_end()}")

    def _log_end(self) -> str:
        return self.log()[-800:].strip()


def ask(control: str, method: str, **params: Any) -> dict[str, Any]:
    """The result of a request to a run's control endpoint; an error's code under `error`."""
    client = RequestClient(control)
    try:
        client.send(to_json({"id": 1, "method": method, "params": params}))
        body = client.recv(10_000)
    finally:
        client.close()
    if body is None:
        return {"error": "timeout"}
    reply: dict[str, Any] = from_json(body)
    return {"error": reply["error"]["code"]} if "error" in reply else reply["result"]


def _unpacked(parts: Sequence[bytes]) -> Received:
    try:
        return unpack_masks(parts)
    except MessageError as error:
        raise StreamError(f"the run published what is no masks message: {error}") from None
