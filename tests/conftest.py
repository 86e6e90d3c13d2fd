"""Shared by all tests: the project on the path, and a run folder of their own."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


@pytest.fixture(autouse=True)
def own_run_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Runs of a test neither see nor are seen by others; short, because a socket's path has at most 107 characters."""
    with tempfile.TemporaryDirectory(prefix="spl-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)
