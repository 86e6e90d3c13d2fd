"""Commands that fit, in this process: where their pools would spawn others, which load PyTorch for seconds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest


@pytest.fixture
def in_this_process(monkeypatch):
    pytest.importorskip("torch")
    from tools.fitting import window_rounds

    @contextmanager
    def one_thread(count):
        with ThreadPoolExecutor(1) as pool:
            yield pool

    monkeypatch.setattr(window_rounds, "processes", one_thread)
