"""Tasks in worker processes: order, failure, progress."""

from __future__ import annotations

import os

import pytest

from stream.errors import ConfigError, StreamError
from tools.evaluation.pool import Tick, run_tasks


def double(number: int, tick: Tick) -> int:
    for _ in range(number):
        tick()
    return 2 * number


def refuse(number: int, tick: Tick) -> int:
    if number == 2:
        raise ConfigError("number is 2; needs another")
    return number


def die(number: int, tick: Tick) -> int:
    os._exit(1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_answers_come_in_the_order_of_their_tasks(jobs: int) -> None:
    assert run_tasks(double, [3, 1, 2], [3, 1, 2], jobs=jobs, title="test") == [6, 2, 4]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_task_that_fails_ends_the_run_with_its_own_words(jobs: int) -> None:
    with pytest.raises(ConfigError, match="number is 2"):
        run_tasks(refuse, [1, 2, 3], [0, 0, 0], jobs=jobs, title="test")


def test_a_worker_that_dies_ends_the_run() -> None:
    with pytest.raises(StreamError, match="a worker process died"):
        run_tasks(die, [1, 2], [0, 0], jobs=2, title="test")
