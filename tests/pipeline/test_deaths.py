"""Whatever dies or hangs, the run goes on with the same objects, or ends in order."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
from running import GONE_S, LOOP, NODES, crowding, gone, until

SLOW_MACHINE = ("--set", "supervisor.dead_after_s=20")  # where a node may be silent for long, no other is restarted


@pytest.mark.parametrize("victim", NODES)
def test_a_killed_node_is_restarted_and_the_masks_of_the_same_ids_come_back(start, victim):
    run = start(*LOOP, *SLOW_MACHINE)
    run.tracks(1, 2, 3)
    before = run.pids()
    os.kill(before[victim], signal.SIGKILL)

    def back():
        stats = run.ctl("stats")
        return (
            stats["nodes"][victim]["restarts"] == 1
            and stats["nodes"][victim]["pid"] not in (0, before[victim])
            and stats
        )

    until(back, "the restart")
    after = run.pids()
    assert {n: p for n, p in after.items() if n != victim} == {n: p for n, p in before.items() if n != victim}
    newest = max(o["frame_id"] for o in run.ctl("list")["objects"])
    fresh = until(
        lambda: (found := run.ctl("list")["objects"]) and min(o["frame_id"] for o in found) > newest + 5 and found,
        "new masks",
    )
    assert [o["id"] for o in fresh] == [1, 2, 3]
    until(lambda: any(o["area"] for o in run.ctl("list")["objects"]), "a mask")


def test_nodes_of_one_process_are_restarted_together_with_the_same_objects(start):
    run = start(*LOOP, *SLOW_MACHINE, "--set", "graph.processes=camera")
    run.tracks(1, 2, 3)
    before = run.pids()
    assert len({before[n] for n in NODES}) == 1
    os.kill(before["tracker"], signal.SIGKILL)
    until(lambda: {run.pids()[n] for n in NODES}.isdisjoint({before["tracker"]}), "the restart")
    stats = run.ctl("stats")
    assert {stats["nodes"][n]["restarts"] for n in NODES} == {1}
    newest = max(o["frame_id"] for o in run.ctl("list")["objects"])
    fresh = until(
        lambda: (found := run.ctl("list")["objects"]) and min(o["frame_id"] for o in found) > newest + 5 and found,
        "new masks",
    )
    assert [o["id"] for o in fresh] == [1, 2, 3]


def test_a_node_that_hangs_is_ended_and_restarted(start):
    run = start(*LOOP)
    run.tracks(1)
    pid = run.pids()["tracker"]
    os.kill(pid, signal.SIGSTOP)
    run.says("has been silent for")
    until(lambda: run.ctl("stats")["nodes"]["tracker"]["restarts"] == 1, "the restart")
    run.tracks(1)


def test_a_node_that_dies_again_and_again_ends_the_run(start):
    run = start(*LOOP, "--set", "supervisor.max_restarts=1")
    run.tracks(1)
    first = run.pids()["decoder"]
    os.kill(first, signal.SIGKILL)
    second = until(lambda: (pid := run.pids()["decoder"]) != first and pid, "the next incarnation")
    os.kill(second, signal.SIGKILL)
    assert run.wait() == 1
    assert "decoder was killed by SIGKILL" in run.lines[-1]


def test_a_paused_feed_stays_paused_when_capture_is_restarted(start):
    run = start(*LOOP)
    run.tracks(1)
    run.ctl("pause")
    pid = run.pids()["capture"]
    os.kill(pid, signal.SIGKILL)
    until(lambda: run.pids()["capture"] != pid, "the restart")
    until(lambda: run.ctl("stats")["phase"] == "paused", "capture to be paused again")
    newest = max(o["frame_id"] for o in run.ctl("list")["objects"])
    run.ctl("resume")
    until(lambda: max(o["frame_id"] for o in run.ctl("list")["objects"]) > newest, "masks to come again")


def test_nodes_end_by_themselves_when_the_supervisor_is_killed(start, own_run_folder):
    run = start(*LOOP)
    run.tracks(1)
    run.send(signal.SIGKILL)
    began = time.monotonic()
    until(lambda: gone(run, own_run_folder), "the nodes to end")
    assert time.monotonic() - began < GONE_S * crowding() + 1


def test_objects_outlive_the_run_in_a_journal(start, tmp_path):
    for _ in range(2):
        run = start(*LOOP, "--box", "7:10,10,90,80", "--set", "supervisor.journal=objects.json")
        run.tracks(7)
        assert [o["id"] for o in run.ctl("list")["objects"]] == [7]
        run.send(signal.SIGTERM)
        assert run.wait() == 0
    assert json.loads((tmp_path / "objects.json").read_text())["next_id"] == 8
    assert "object 7 is in the journal already" in run.output
    run = start(*LOOP, "--box", "7:200,10,290,80", "--set", "supervisor.journal=objects.json")
    run.tracks(8)
    assert "the new object is 8" in run.output
