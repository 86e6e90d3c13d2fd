"""Some hundred malformed messages to each open socket of a run; the program sends as many as one likes."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from fuzz import live_fuzzer
from running import until

COUNT = 1800  # two batches for each socket
TOO_LONG = 65 << 20  # bytes: more than any message may have, and read nevertheless, so that it is counted


@pytest.fixture
def run():
    with live_fuzzer.small_run() as made:
        yield made


def test_malformed_messages_on_every_socket_are_counted_and_end_no_process(run):
    started, folder = run
    outcome = live_fuzzer.fuzz(started, folder, COUNT, seed=1)
    assert not outcome.died
    assert len(outcome.sent) == 9
    assert all(mb < 60 for mb in outcome.grown_mb.values()), outcome.grown_mb

    malformed = started.ctl("stats")["malformed"]["reports"]
    with ExitStack() as clients:
        live_fuzzer.tell(folder / "reports", [[bytes(TOO_LONG)]], clients)
        until(lambda: started.ctl("stats")["malformed"]["reports"] == malformed + 1, "the count")
