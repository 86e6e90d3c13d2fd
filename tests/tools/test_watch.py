"""The consumer that comes along: what it prints, saves and sums up."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rich.console import Console

from stream.errors import ConfigError
from stream.messages import Masks, ObjectMask, Stamp
from stream.public_wire.messages import Received, pack_masks, pack_status
from tools import watch
from tools.reception import Reception

CAPTURED_UNIX_NS = 1_700_000_000_000_000_000
MASK = np.ones((3, 4), np.uint8)
WATCH = Path(watch.__file__)


def message(sequence: int) -> list[bytes]:
    """A masks message of one object, 20 ms old when it was published."""
    stamp = Stamp(camera="door", session=1, frame_id=sequence, captured_ns=10**9, captured_unix_ns=CAPTURED_UNIX_NS)
    ball = ObjectMask(
        object_id=2,
        state="uncertain",
        origin="propagated",
        score=0.5,
        bbox=(1, 2, 4, 3),
        area=12,
        mask=MASK,
        xy=np.zeros((0, 2), np.float32),
        visibility=np.zeros(0, np.float32),
        labels=np.zeros(0, np.uint8),
    )
    masks = Masks(stamp=stamp, size=(6, 8), objects=(ball,), passed_over=1)
    return pack_masks(masks, "packbits", 1_020_000_000, sequence, "a1")


class Replay:
    """An inbox that plays messages; None is a time in which nothing comes."""

    def __init__(self, messages: Iterable[Sequence[bytes] | None]) -> None:
        self.messages = list(messages)
        self.endpoint = ""
        self.topics: list[str] = []
        self.closed = False

    def recv(self, timeout_ms: int) -> Sequence[bytes] | None:
        return self.messages.pop(0) if self.messages else None

    def close(self) -> None:
        self.closed = True


def follow(replay: Replay, view: watch.View, save: Callable[[Received], object] | None = None) -> Reception:
    """Follow a replay to its end, each message coming 45 ms after its capture."""
    reception = Reception()
    watch.follow(replay, reception, view, save, lambda: CAPTURED_UNIX_NS + 45_000_000, lambda: not replay.messages)
    return reception


@pytest.fixture
def replay(monkeypatch: pytest.MonkeyPatch) -> Iterable[Replay]:
    """Plays messages 1, 2, 4 in the place of the transport; signal handlers are put back."""
    import stream.transport.service_sockets

    played = Replay([message(1), None, message(2), [b"masks/door", b"?"], message(4)])

    def subscribe(endpoint: str, topics: list[str], keys: str = "") -> Replay:
        played.endpoint, played.topics = endpoint, topics
        return played

    monkeypatch.setattr(stream.transport.service_sockets, "subscribe", subscribe)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield played
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_line_tells_all_about_a_message(capsys: Any) -> None:
    follow(Replay([message(7)]), watch.Lines())
    assert capsys.readouterr().out == (
        "door session 1 frame 7, 0.0 Hz, age 45 ms, 20 ms at publishing, passed over 1, gaps 0, malformed 0"
        " | 2 uncertain propagated 0.50 12 px [1, 2, 4, 3]\n"
    )


def drawn(reception: Reception, unix_ns: int) -> str:
    console = Console(file=io.StringIO(), width=140)
    console.print(watch.draw(reception, unix_ns))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return " ".join(text.split())


def test_the_table_waits_before_the_first_message() -> None:
    assert "waiting for masks" in drawn(Reception(), 0)


def test_the_table_shows_objects_status_and_losses() -> None:
    reception = Reception()
    for parts in (message(1), message(3), pack_status("door", {"paused": True}), [b"masks/x", b"?"]):
        reception.take(parts, CAPTURED_UNIX_NS)
    text = drawn(reception, CAPTURED_UNIX_NS + 5_000_000_000)
    for piece in (
        "door",
        "uncertain",
        "0.50",
        "1, 2, 4, 3",
        "gaps 1",
        "malformed: 1",
        '"paused": true',
        "silent for 5 s",
    ):
        assert piece in text


def test_what_comes_off_the_wire_is_neither_markup_nor_control_characters() -> None:
    reception = Reception()
    reception.take(message(1), CAPTURED_UNIX_NS)
    reception.take(pack_status("door", {"note": "[bold red]\x1b[2J\x9b2J"}), CAPTURED_UNIX_NS)
    reception.take([b"masks/door", b'{"schema": "\xc2\x9b2J", "version": 1, "camera": "door"}'], CAPTURED_UNIX_NS)
    text = drawn(reception, CAPTURED_UNIX_NS)
    assert "[bold red]" in text
    assert "\x1b" not in text
    assert "\x9b" not in text


def test_label_images_are_named_by_frame_and_hold_ids(replay: Replay, tmp_path: Path) -> None:
    assert watch.main(["ipc:///x", "--save-masks", str(tmp_path / "masks"), "--frames", "3", "--plain"]) == 0
    assert sorted(p.name for p in (tmp_path / "masks").iterdir()) == ["00001.png", "00002.png", "00004.png"]
    from av import open as av_open

    with av_open(str(tmp_path / "masks" / "00004.png")) as picture:
        labels = next(picture.decode(video=0)).to_ndarray(format="rgb24")
    assert (labels[2:5, 1:5] != labels[0, 0]).any(axis=2).all()
    assert cv2.imread(str(tmp_path / "masks" / "00004.png")).shape == (6, 8, 3)


def test_the_summary_is_written_at_the_end(replay: Replay, tmp_path: Path, capsys: Any) -> None:
    assert watch.main(["ipc:///x", "--json", str(tmp_path / "sum.json"), "--frames", "3", "--plain"]) == 0
    summary = json.loads((tmp_path / "sum.json").read_text())
    assert {key: summary[key] for key in ("received", "gaps", "passed_over", "malformed")} == {
        "received": 3,
        "gaps": 1,
        "passed_over": 3,
        "malformed": 1,
    }
    assert summary["age_ms"].keys() == {"p50", "p95", "p99"}
    assert summary["objects"] == [
        {"id": 2, "state": "uncertain", "origin": "propagated", "score": 0.5, "area": 12, "bbox": [1, 2, 4, 3]}
    ]
    assert capsys.readouterr().out.endswith("received 3, gaps 1, passed_over 3, malformed 1\n")
    assert replay.closed


def test_one_camera_can_be_asked_for(replay: Replay) -> None:
    assert watch.main(["tcp://127.0.0.1:5556", "--camera", "door", "--frames", "1"]) == 0
    assert (replay.endpoint, replay.topics) == ("tcp://127.0.0.1:5556", ["masks/door", "status/door"])


def test_without_an_endpoint_the_run_on_this_machine_is_found(replay: Replay, monkeypatch: pytest.MonkeyPatch) -> None:
    import stream.run_directory

    run = stream.run_directory.Run(1, "door", "ipc:///control", "ipc:///publish")
    monkeypatch.setattr(stream.run_directory, "find_run", lambda camera: run)
    assert watch.main(["--frames", "1"]) == 0
    assert (replay.endpoint, replay.topics) == ("ipc:///publish", ["masks/", "status/"])


def test_no_run_to_find_is_a_message_and_code_2(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    import stream.run_directory

    def find_run(camera: str | None) -> None:
        raise ConfigError("no run is going on")

    monkeypatch.setattr(stream.run_directory, "find_run", find_run)
    assert watch.main([]) == 2
    assert capsys.readouterr().err == "watch: no run is going on\n"


@pytest.mark.parametrize(
    "argv", [["nonsense"], ["ftp://host:21"], ["tcp://host"], ["ipc:///x", "--json", "/nowhere/at/all.json"]]
)
def test_arguments_that_lead_nowhere_end_with_2(argv: list[str], capsys: Any) -> None:
    assert watch.main(argv) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("argv", [["--frames", "0"], ["--duration", "-1"], ["--duration", "nan"], ["--what"]])
def test_arguments_that_are_wrong_end_with_2(argv: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as stop:
        watch.main(argv)
    assert stop.value.code == 2


def test_the_duration_ends_it_though_nothing_comes(replay: Replay, capsys: Any) -> None:
    replay.messages = []
    assert watch.main(["ipc:///x", "--duration", "0.01"]) == 0
    assert capsys.readouterr().out == "received 0, gaps 0, passed_over 0, malformed 0\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_the_summary(replay: Replay, tmp_path: Path, number: int) -> None:
    replay.recv = lambda timeout_ms: os.kill(os.getpid(), number)  # type: ignore[method-assign,assignment]
    assert watch.main(["ipc:///x", "--json", str(tmp_path / "sum.json")]) == 0
    assert json.loads((tmp_path / "sum.json").read_text())["received"] == 0


def test_help_answers_at_once_since_it_loads_no_package_that_takes_long() -> None:
    program = (
        "import runpy, sys\n"
        "try: runpy.run_path(sys.argv.pop(1), run_name='__main__')\n"
        "finally: print('loaded:', *sorted({'numpy', 'cv2', 'zmq', 'rich', 'msgspec'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, str(WATCH), "--help"]
    out = subprocess.run(command, cwd="/", check=True, capture_output=True, text=True).stdout
    assert "--save-masks" in out
    assert out.endswith("loaded:\n")


def test_a_reader_that_has_seen_enough_ends_it_quietly() -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(WATCH.parents[1])!r}); from tools import watch\n"
        "def run(args):\n"
        "    while True: print('line', flush=True)\n"
        "watch.run = run; sys.exit(watch.main([]))"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout
    assert child.stderr
    child.stdout.readline()
    child.stdout.close()
    with child.stderr:
        assert child.stderr.read() == b""
    assert child.wait(timeout=30) == 0
