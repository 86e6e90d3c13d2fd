"""Shared by all tests: the project on the path, a run folder of their own, runs of the command, and data."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import torch
    from running import Run

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is loaded; nodes set it for themselves
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


@pytest.fixture(autouse=True)
def own_run_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Runs of a test neither see nor are seen by others; short, because a socket's path has at most 107 characters."""
    with tempfile.TemporaryDirectory(prefix="spl-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test hides (a password may be a plain word) the next one shows."""
    from stream.settings import secrets

    monkeypatch.setattr(secrets, "_remembered", {})


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Start runs; whatever is left of them is ended."""
    from running import Run

    runs = []

    def begin(*arguments: Any, **options: Any) -> Run:
        runs.append(Run(*arguments, cwd=tmp_path, **options))
        return runs[-1]

    yield begin
    for run in runs:
        run.close()


@pytest.fixture
def gpu() -> torch.device:
    """The GPU whose answers are compared with the CPU's; GPU_TEST_DEVICE=cpu tries these tests where there is none."""
    torch = pytest.importorskip("torch")
    name = os.environ.get("GPU_TEST_DEVICE", "cuda")
    if name != "cpu" and not torch.cuda.is_available():
        pytest.skip("no GPU; GPU_TEST_DEVICE=cpu compares the CPU with itself")
    from stream.weights.devices import allow_tf32

    allow_tf32(False)
    return torch.device(name)


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of golden numbers that another implementation computed; $GOLDEN_DIR names another one."""
    return _data("GOLDEN_DIR", ROOT.parent / "shared" / "golden")


@pytest.fixture(scope="session")
def davis() -> Path:
    """A folder of DAVIS sequences with their truth; $DAVIS_DIR names another one."""
    return _data("DAVIS_DIR", ROOT.parent / "shared" / "data" / "davis")


def _data(variable: str, usual: Path) -> Path:
    folder = Path(os.environ.get(variable, usual))
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: it holds data we may not ship; {variable} names another place")
    return folder
