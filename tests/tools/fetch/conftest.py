"""For the tests of fetching: no proxy, a server on this machine, an empty folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from weights_server import PAYLOAD, Fetch, WeightsServer, serving


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WeightsServer]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with serving(PAYLOAD) as server:
        yield server


@pytest.fixture
def fetching(tmp_path: Path) -> Fetch:
    return Fetch(tmp_path / "hub")
