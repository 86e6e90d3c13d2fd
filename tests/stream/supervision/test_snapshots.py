from __future__ import annotations

import pytest

from stream.reports import Answer
from stream.supervision import snapshots
from stream.supervision.snapshots import Snapshots


def answer(request, **values):
    return Answer(node="renderer", pid=1, request=request, **values)


@pytest.fixture
def told():
    return []


@pytest.fixture
def waiting(told):
    waiting = Snapshots()
    for name in ("first", "second"):
        waiting.ask(lambda result, error, name=name: told.append((name, result, error)))
    return waiting


def test_an_answer_goes_to_who_asked_and_only_once(waiting, told):
    for _ in range(2):
        waiting.answered(answer(2, result={"picture": "a.png"}))
    assert told == [("second", {"picture": "a.png"}, "")]


def test_an_answer_that_nobody_asked_for_is_let_go(waiting, told):
    waiting.answered(answer(99))
    assert told == []


def test_who_has_waited_for_too_long_is_told_so_and_nobody_else(waiting, told, monkeypatch):
    monkeypatch.setattr(snapshots, "TIMEOUT_S", -1.0)
    waiting.ask(lambda result, error: told.append((result, error)))
    waiting.time_out()
    ((result, error),) = told
    assert result == {}
    assert error.startswith("no answer from the renderer within")


def test_at_the_end_nobody_is_left_waiting(waiting, told):
    waiting.end()
    waiting.end()
    assert told == [(name, {}, "the run ends before a frame came") for name in ("first", "second")]
