"""The thread that works beside a feed: one job at a time, all on one thread, which ends where no job comes."""

from __future__ import annotations

import threading

import pytest
from running import PATIENCE_S, until

from stream.scheduling import worker
from stream.scheduling.worker import ThreadWorker

NAME = "decoder-model"


def done(own: ThreadWorker[int]) -> tuple[int | None, BaseException | None]:
    outcome = own.take(PATIENCE_S)
    assert outcome is not None
    return outcome


def test_jobs_run_one_after_the_other_on_one_thread():
    woken = threading.Semaphore(0)
    own: ThreadWorker[int] = ThreadWorker(woken.release, NAME)
    assert own.take() is None
    threads = set()
    for number in range(5):
        own.start(lambda number=number: (threads.add(threading.get_ident()), number)[1])
        assert own.busy
        assert done(own) == (number, None)
        assert not own.busy
        assert woken.acquire(timeout=PATIENCE_S)
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_what_a_job_raises_is_its_outcome_and_the_next_one_runs():
    own: ThreadWorker[int] = ThreadWorker(lambda: None, NAME)
    own.start(lambda: 1 // 0)
    value, error = done(own)
    assert value is None
    assert isinstance(error, ZeroDivisionError)
    own.start(lambda: 7)
    assert done(own) == (7, None)


def test_the_thread_ends_without_jobs_and_begins_with_the_next(monkeypatch):
    monkeypatch.setattr(worker, "IDLE_S", 0.01)
    own: ThreadWorker[int] = ThreadWorker(lambda: None, NAME)
    for number in range(3):
        own.start(lambda number=number: number)
        assert done(own) == (number, None)
        until(lambda: not any(t.name == NAME and t.is_alive() for t in threading.enumerate()), "its end")


def test_two_jobs_at_once_are_refused():
    own: ThreadWorker[int] = ThreadWorker(lambda: None, NAME)
    own.start(lambda: 1)
    with pytest.raises(AssertionError):
        own.start(lambda: 2)
    done(own)
