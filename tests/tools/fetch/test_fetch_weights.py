"""The command that fetches weights: its table, its arguments, its words and exit codes."""

from __future__ import annotations

import dataclasses
import io
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT
from weights_server import PAYLOAD, WeightsServer, row

from stream.weights.published import PUBLISHED
from tools import fetch_weights
from tools.fetch import transfer
from tools.fetch_weights import FetchProgress, fetch


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch, server: WeightsServer, tmp_path: Path) -> Path:
    """The command's own table with `tiny` in it, and an empty cache; the answer is its folder."""
    monkeypatch.setitem(PUBLISHED, "tiny", row(PAYLOAD, server.url))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(transfer, "BACKOFF_S", 0.0)
    return tmp_path / "hub" / "checkpoints"


def test_the_command_fetches_names_into_the_cache(
    table: Path, server: WeightsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch_weights.main(["tiny"]) == 0
    assert (table / "tiny.pth").read_bytes() == PAYLOAD
    told = capsys.readouterr()
    assert told.out == f"tiny: right, sha256 {row(PAYLOAD).sha256} and md5 {row(PAYLOAD).md5}: {table / 'tiny.pth'}\n"
    assert "tiny: 0.3 MiB of 0.3 MiB (100 %)" in told.err


def test_folder_and_address_can_be_given(table: Path, server: WeightsServer, tmp_path: Path) -> None:
    url = server.url.replace("tiny", "mirror")
    assert fetch_weights.main(["get", "tiny", "--url", url, "--folder", str(tmp_path / "here")]) == 0
    assert (tmp_path / "here" / "tiny.pth").read_bytes() == PAYLOAD
    assert server.requests[0][0] == "/mirror.pth"


def test_the_list_tells_what_is_there_partial_and_missing(
    table: Path, server: WeightsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch_weights.main(["tiny"])
    (table / "mobile_sam.pt").write_bytes(b"own")
    (table / "sam_vit_b_01ec64.pth.part").write_bytes(bytes(20 << 20))
    capsys.readouterr()
    assert fetch_weights.main([]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(lines) == {"name", *PUBLISHED, "folder:"}
    assert "  there  " in lines["tiny"]
    assert "there, but 3 bytes: verify it" in lines["mobile_sam"]
    assert "partial: 20 MiB" in lines["sam_vit_b"]
    assert lines["pips"].split()[1:6] == ["328", "MiB", "MIT", "not", "there"]
    assert all("(for non-commercial research only)" in lines[name] for name in ("superpoint", "superglue"))
    assert lines["folder:"] == f"folder: {table}"


def test_verify_checks_what_is_there(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fetch_weights.main(["verify"]) == 0
    assert fetch_weights.main(["tiny"]) == 0
    assert fetch_weights.main(["verify"]) == 0
    assert capsys.readouterr().out.count("tiny: right, sha256") == 2
    (table / "tiny.pth").write_bytes(b"other")
    assert fetch_weights.main(["verify", "tiny"]) == 1
    assert row(PAYLOAD).md5 in capsys.readouterr().err
    assert fetch_weights.main(["verify", "pips"]) == 3
    assert "not there; `python tools/fetch_weights.py pips` gets it" in capsys.readouterr().err


def test_offline_opens_no_connection(
    table: Path, server: WeightsServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fetch_weights.main(["tiny"]) == 0
    monkeypatch.setattr(socket, "socket", None)  # opening one would fail loudly
    assert fetch_weights.main(["--offline", "tiny"]) == 0
    assert fetch_weights.main(["tiny", "--offline", "pips"]) == 3
    words = capsys.readouterr().err
    assert f"{table / 'pips_model-000200000.pth'}: not there" in words
    assert PUBLISHED["pips"].urls[0] in words
    assert len(server.requests) == 1


def test_one_failure_does_not_keep_the_others_from_being_fetched(
    table: Path, server: WeightsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = dataclasses.replace(row(PAYLOAD, server.url), name="missing", file="missing.pth")
    monkeypatch.setitem(PUBLISHED, "missing", missing)
    server.statuses = [404]
    assert fetch_weights.main(["missing", "tiny"]) == 3
    assert (table / "tiny.pth").is_file()


def test_ctrl_c_keeps_what_came(
    table: Path, server: WeightsServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(FetchProgress, "update", interrupted)
    assert fetch_weights.main(["tiny"]) == 1
    assert "stopped; what came is kept" in capsys.readouterr().err
    assert (table / "tiny.pth.part").stat().st_size > 0


def test_without_the_package_that_fetches_the_command_names_what_to_install(
    table: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "tools.fetch.transfer")
    monkeypatch.setitem(sys.modules, "httpx2", None)
    assert fetch_weights.main(["tiny"]) == 2
    told = capsys.readouterr().err
    assert "httpx2 is missing; `pip install -r requirements.txt` gets it" in told
    assert told.count("\n") == 1
    assert fetch_weights.main(["list"]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tinny"], "did you mean 'tiny'"),
        (["get"], "which one"),
        (["list", "tiny"], "takes no names"),
        (["tiny", "--url", "file:///etc/passwd"], "needs http"),
        (["tiny", "--url", "http://[::1/tiny"], "needs http"),
        (["tiny", "pips", "--url", "http://h/f"], "one NAME"),
        (["tiny", "--url", "http://h/f", "--offline"], "contradict"),
        (["tiny", "--frobnicate"], "--help"),
    ],
)
def test_bad_arguments_end_with_2_and_one_sentence(
    table: Path, server: WeightsServer, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert fetch_weights.main(arguments) == 2
    told = capsys.readouterr().err
    assert words in told
    assert told.count("\n") == 1
    assert server.requests == []


def test_the_command_runs_by_itself_from_any_folder(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, ROOT / "tools" / "fetch_weights.py", "sam_vit_b", "--offline", "--folder", "weights"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 3
    assert answer.stderr.startswith("fetch_weights: error: sam_vit_b: weights/sam_vit_b_01ec64.pth: not there")
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_gets_a_bar_with_rate_and_time_left(server: WeightsServer, tmp_path: Path) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    with FetchProgress("tiny", out) as progress:
        fetch(row(PAYLOAD, server.url), tmp_path, progress)
    assert "tiny" in out.getvalue()
    assert "293.0/293.0 KiB" in out.getvalue()
