"""Malformed messages to every open socket of a run: `PYTHONPATH=.:tests python tests/fuzz/live_fuzzer.py`.

Those of the run's own topics and reports have to be counted one by one; each request has to get its one reply; what
subscribers send has no count. No process may die, and masks have to go on.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import random
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import zmq
from fuzz import fuzzer
from load.run_under_load import resident_mb
from running import LOOP, Run, until
from zmtp_client import GREETING, frame, ready

from stream.errors import MessageError

WRITERS = {"frames": "capture", "tracks": "tracker", "masks": "decoder", "scenes": "decoder", "seeds": "decoder"}
TOPICS = (*WRITERS, "commands")
BATCH = 100  # messages of one client: fewer than a client may send at once
OPEN = ("--publish", "tcp://127.0.0.1:0")  # the others are the sockets of the run's folder
SLOW_MACHINE = ("--set", "supervisor.dead_after_s=20")  # no node is restarted for its silence
FEW_OBJECTS = ("--set", "control.max_objects=4")  # each takes memory of its own


@dataclass
class Outcome:
    """What was sent to each socket, what the run said of it, and by how much each process grew."""

    sent: Counter[str] = field(default_factory=Counter)
    replies: int = 0
    died: bool = False
    grown_mb: dict[str, float] = field(default_factory=dict)


def fuzz(run: Run, folder: Path, count: int, seed: int) -> Outcome:
    """Send `count` messages to the sockets of a run, and wait until all are counted; AssertionError if they are not."""
    outcome, pids = Outcome(), run.pids()
    before_mb = {name: resident_mb(pid) for name, pid in pids.items()}
    clients = ExitStack()
    ways: dict[str, Callable[[list[fuzzer.Parts]], int]] = {
        "control": lambda batch: _ask(folder / "control", batch),
        "publish": lambda batch: _subscribe(run.publish, batch),
        **{name: lambda batch, name=name: tell(folder / name, batch, clients) for name in (*TOPICS, "reports")},
    }
    receivers = {receiver.name: receiver for receiver in fuzzer.receivers()}
    for number, start in enumerate(range(0, count, BATCH)):
        name = list(ways)[number % len(ways)]
        receiver = receivers[f"topic {name}" if name == "reports" else SEEDS.get(name, "requests for messages")]
        batch = list(itertools.islice(_spoiled(receiver, seed, start), min(BATCH, count - start)))
        outcome.replies += ways[name](batch)
        outcome.sent[name] += len(batch)
        assert run.process.poll() is None, f"it ended at message {start} of seed {seed}:\n{run.output[-2000:]}"
    assert outcome.replies == outcome.sent["control"], "each request gets one reply"
    wanted = Counter[str]()
    for name, sent in outcome.sent.items():
        if name not in ("control", "publish"):
            wanted[WRITERS.get(name, name)] += sent

    def counted() -> bool:
        malformed = run.ctl("stats")["malformed"]
        return all(malformed[name] >= number for name, number in wanted.items())

    with clients:
        until(counted, f"all of {dict(wanted)} to be counted", 600.0)
    malformed = run.ctl("stats")["malformed"]
    assert {name: malformed[name] for name in wanted} == wanted, "nothing else is counted"
    run.ctl("resume")  # which a request may have paused
    published = run.ctl("stats")["masks_published"]
    until(lambda: run.ctl("stats")["masks_published"] > published, "masks to go on")
    outcome.died = run.pids() != pids
    outcome.grown_mb = {name: resident_mb(pid) - before_mb[name] for name, pid in pids.items()}
    return outcome


SEEDS = {"control": "control", "publish": "requests for messages"}


def _spoiled(receiver: fuzzer.Receiver, seed: int, start: int) -> Iterator[fuzzer.Parts]:
    """Messages for a receiver, without end; of reports, which any process of a user may write, those that are none."""
    rng = random.Random(f"{seed} {start} live")
    while True:
        parts = fuzzer.spoil(rng.choice(receiver.seeds), rng)
        if not parts or sum(map(len, parts)) > 1 << 20:  # a longer request ends its connection
            continue
        if receiver.name == "topic reports":
            try:
                receiver.take(parts)
            except MessageError:
                pass
            else:
                continue
        if b"shutdown" not in b"".join(parts):
            yield parts


def tell(path: Path, batch: list[fuzzer.Parts], clients: ExitStack) -> int:
    """Send what gets no reply.

    The connection is left to `clients`: libzmq loses what a busy reader has not read when its peer is gone.
    """
    client = clients.enter_context(_connected(path, zmq.PUSH if path.name == "reports" else zmq.DEALER))
    for parts in batch:
        client.send_multipart(parts)
    return 0


def _ask(path: Path, batch: list[fuzzer.Parts]) -> int:
    """Send requests, and read the replies; how many came."""
    replies = 0
    with _connected(path, zmq.DEALER) as client:
        for start in range(0, len(batch), 20):
            for parts in batch[start : start + 20]:
                client.send_multipart(parts)
            for _ in batch[start : start + 20]:
                if not client.poll(60_000):
                    return replies
                client.recv_multipart()
                replies += 1
    return replies


@contextlib.contextmanager
def _connected(path: Path, kind: int) -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context.instance().socket(kind) as client:
        client.sndhwm, client.linger = 10_000, 0
        client.connect(f"ipc://{path}")
        yield client


def _subscribe(endpoint: str, batch: list[fuzzer.Parts]) -> int:
    """A client of the masks that sends spoiled frames after its handshake; the gate takes no more than it may send."""
    host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 10) as client:
        client.settimeout(0.2)
        client.sendall(GREETING + ready("SUB"))
        for number, parts in enumerate(batch):
            body = b"".join(parts)[:400]
            client.sendall(frame(b"\1" + body) if number % 3 else frame(body, flags=body[0] & 7 if body else 0))
    return 0


@contextlib.contextmanager
def small_run() -> Iterator[tuple[Run, Path]]:
    """A run to be fuzzed, and the folder of its sockets."""
    from stream.run_directory import find_run

    with tempfile.TemporaryDirectory(prefix="spl-") as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder
        run = Run(
            *LOOP,
            *OPEN,
            *SLOW_MACHINE,
            "--set",
            "capture.demo_size=320x180",
            "--set",
            "capture.demo_fps=10",
            cwd=Path(folder),
        )
        try:
            run.tracks(1)
            run.publish = find_run().publish_endpoint
            yield run, next(Path(folder).glob("sam-pt-live-*/*/run.json")).parent
        finally:
            run.close()


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Send malformed messages to every socket of a run.")
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    with small_run() as (run, folder):
        began_s = time.monotonic()
        outcome = fuzz(run, folder, arguments.count, arguments.seed)
        took_s = time.monotonic() - began_s
    print(f"sent: {dict(outcome.sent)}; replies: {outcome.replies}; a process died: {outcome.died}")
    print("grown, MB:", {name: round(mb, 1) for name, mb in outcome.grown_mb.items()})
    print(f"{arguments.count} messages in {took_s:.0f} s")
    return int(outcome.died)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
