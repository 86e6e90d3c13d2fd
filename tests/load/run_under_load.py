"""A run with a consumer of its masks, a client that asks now and then, and the memory of every process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from running import LOOP, ROOT, Run, until

from stream.run_directory import find_run
from stream.transport.service_sockets import RequestClient, subscribe

ATTACKS = Path(__file__).with_name("attacks.py")
MB = 1 << 20
WARM_UP_S = 5.0
ANY_PORT = "tcp://127.0.0.1:0"


@dataclass
class Measured:
    """What a while of a run gave."""

    rate_hz: float  # masks that reached the consumer
    longest_reply_s: float
    peak_mb: dict[int, float]  # by process id


class RunUnderLoad:
    """A small live feed with both sockets on loopback."""

    def __init__(self, start: Any, *arguments: str) -> None:
        self.run: Run = start(
            *LOOP, "--publish", ANY_PORT, "--set", f"control.endpoint={ANY_PORT}",
            "--set", "capture.demo_size=320x180", "--set", "capture.demo_fps=10", *arguments,
        )  # fmt: skip
        self.run.tracks(1)
        found = find_run()
        self.control, self.publish = found.control_endpoint, found.publish_endpoint
        self.pids = self.run.pids()
        time.sleep(WARM_UP_S)

    def measure(self, seconds: float, attack: str = "") -> Measured:
        """Measure for so long, under an attack if one is named."""
        attacker = None
        if attack:
            command = [sys.executable, str(ATTACKS), attack, self.control, self.publish, str(seconds)]
            attacker = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT / "tests")})
        end_s = time.monotonic() + seconds
        replies: list[float] = []
        peaks = dict.fromkeys(self.pids.values(), 0.0)
        watcher = threading.Thread(target=self._watch, args=(end_s, replies, peaks))
        watcher.start()
        consumer, came = subscribe(self.publish, ["masks/"]), 0
        began_s = None
        while time.monotonic() < end_s:
            if consumer.recv(50) is not None:
                came += 1
                began_s = began_s or time.monotonic()
        elapsed_s = time.monotonic() - (began_s or end_s)
        consumer.close()
        watcher.join()
        if attacker:
            attacker.wait(30)
        return Measured((came - 1) / elapsed_s if came > 1 else 0.0, max(replies, default=999.0), peaks)

    def lives(self) -> bool:
        """Whether every process is the one that it was."""
        return self.run.process.poll() is None and self.run.pids() == self.pids

    def _watch(self, end_s: float, replies: list[float], peaks: dict[int, float]) -> None:
        while time.monotonic() < end_s:
            replies.append(reply_s(self.control))
            for pid in peaks:
                peaks[pid] = max(peaks[pid], resident_mb(pid))
            time.sleep(0.2)


def reply_s(control: str, patience_s: float = 20.0) -> float:
    """How long a client that comes anew waits for its reply."""
    began_s = time.monotonic()
    client = RequestClient(control)
    client.send(json.dumps({"id": 1, "method": "list_objects"}).encode())
    reply = client.recv(int(patience_s * 1000))
    client.close()
    assert reply is None or "result" in json.loads(reply), reply
    return time.monotonic() - began_s


def resident_mb(pid: int) -> float:
    """Memory of a process that is in use; 0 when it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * 4096 / MB


def settled(under_load: RunUnderLoad) -> None:
    """Wait until an attack is over: requests are answered at once."""
    until(lambda: reply_s(under_load.control) < 0.5, "a quick reply", 30.0)
