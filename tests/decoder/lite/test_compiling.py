"""Compiled loops are kept on disk where that can be; where it can't, they are compiled all the same, and it is said."""

from __future__ import annotations

import importlib.util
import logging
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numba
import pytest
from running import ROOT

from nodes.decoder.lite.kernels import compiling

LOOP = """
from nodes.decoder.lite.kernels.compiling import compiled

@compiled("f8(f8)")
def double(x):
    return 2 * x

@compiled("f8(f8)")
def triple(x):
    return 3 * x
"""


@pytest.fixture(autouse=True)
def first_start(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A process that has told nothing yet, with the cache where it is by default."""
    monkeypatch.setattr(compiling, "_logged", set())
    keep_loops_in("", monkeypatch)
    caplog.set_level(logging.INFO)


@pytest.fixture
def nowhere_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither beside the source nor at home: files stand where folders are wanted, which stops root as well."""
    (tmp_path / "__pycache__").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")


def keep_loops_in(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user's NUMBA_CACHE_DIR. Numba compares its variables at each loop: a value of its own would not last."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", folder)
    numba.config.reload_config()
    monkeypatch.setattr(numba.config, "CACHE_DIR", folder)


def load(folder: Path, text: str = LOOP) -> ModuleType:
    """A module of loops, as a new process would see it."""
    (folder / "loops.py").write_text(text)
    spec = importlib.util.spec_from_file_location("loops", folder / "loops.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_loops_are_compiled_once_and_it_is_said_that_this_takes_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert load(tmp_path).double(4.0) == 8
    (line,) = caplog.records
    assert line.levelno == logging.INFO
    assert f"kept for later starts in {tmp_path}" in line.getMessage()


def test_a_second_start_compiles_nothing_and_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(tmp_path)
    caplog.clear()
    compiling._logged.clear()
    again = load(tmp_path)
    assert (again.double.stats.cache_misses, again.triple.stats.cache_misses) == ({}, {})
    assert again.triple(4.0) == 12
    assert not caplog.records


def test_without_a_folder_to_write_to_loops_are_compiled_and_one_line_says_what_to_do(
    tmp_path: Path, nowhere_to_write: None, caplog: pytest.LogCaptureFixture
) -> None:
    module = load(tmp_path)
    assert (module.double(4.0), module.triple(4.0)) == (8, 12)
    (line,) = caplog.records
    assert line.levelno == logging.WARNING
    assert "found no folder to write to" in line.getMessage()
    assert "every start compiles them" in line.getMessage()
    assert "NUMBA_CACHE_DIR" in line.getMessage()


def test_the_folder_of_numba_cache_dir_is_used_as_the_line_says(
    tmp_path: Path, nowhere_to_write: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keep_loops_in(str(tmp_path / "cache"), monkeypatch)
    monkeypatch.setenv("NUMBA_OPT", "3")  # another variable that changed is no matter of this folder
    load(tmp_path)
    assert [r.levelno for r in caplog.records] == [logging.INFO]
    assert list((tmp_path / "cache").rglob("*.nbi"))


def test_a_damaged_file_is_logged_and_does_not_end_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(tmp_path)
    caplog.clear()
    for cached_loop in (tmp_path / "__pycache__").glob("*.nbi"):
        cached_loop.write_bytes(b"")
    assert load(tmp_path).double(4.0) == 8
    (line,) = caplog.records
    assert "EOFError" in line.getMessage()


def test_a_loop_that_cannot_be_compiled_is_no_matter_of_the_cache(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(numba.core.errors.TypingError):
        load(tmp_path, LOOP.replace("2 * x", "x.shape"))
    assert not caplog.records


def test_the_line_of_the_makefile_compiles_every_loop_there_is() -> None:
    """At install time, so that the first start is as quick as any."""
    (line,) = (t for t in (ROOT / "Makefile").read_text().splitlines() if '-c "import nodes.decoder' in t)
    command = line.partition('"')[2].rpartition('"')[0]
    check = f"{command}; import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [p for p in (ROOT / "nodes").rglob("*.py") if "@compiled(" in p.read_text()]
    assert files
    loaded = done.stdout.split()
    for path in files:
        assert ".".join(path.relative_to(ROOT).with_suffix("").parts) in loaded, (
            f"{path} is not compiled at install time"
        )
