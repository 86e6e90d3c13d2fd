"""Many stops at any moment: none hangs. STOPS=1000 makes it a thousand of each kind, SEED=N other moments."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest
from running import LOOP, gone, handles_signals, nodes_of, until

STOPS = int(os.environ.get("STOPS", "3"))
SEED = int(os.environ.get("SEED", "0"))
HANGS_S = 30.0  # far more than a stop takes on a busy machine
LATEST_S = 3.0  # after the start: by then masks come out


@pytest.mark.parametrize("threads", [False, True], ids=["processes", "threads"])
def test_a_stop_never_hangs_whenever_it_comes_and_however_often(start, own_run_folder, monkeypatch, threads):
    monkeypatch.setenv("PYTHONFAULTHANDLER", "1")
    moments = random.Random(SEED + threads)
    for number in range(STOPS):
        run = start(*LOOP, *(["--threads"] if threads else []))
        until(lambda run=run: handles_signals(run.process.pid), "the run to begin")
        time.sleep(moments.uniform(0, LATEST_S))
        for _ in range(moments.choice((1, 1, 2, 20))):  # Ctrl-C, again and again
            run.send(moments.choice((signal.SIGTERM, signal.SIGINT)))
        if moments.random() < 0.3:  # systemd stops all processes of a service at once
            for pid in nodes_of(run.process.pid):
                _terminate(pid)
        try:
            until(lambda run=run: gone(run, own_run_folder), f"stop {number} to end all", HANGS_S)
        except AssertionError as error:
            run.send(signal.SIGABRT)  # says where each of its threads is
            run.wait()
            raise AssertionError(f"{error}:\n{run.output}") from None
        assert run.wait() == 0, run.output
        assert "Traceback" not in run.output


def _terminate(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass
