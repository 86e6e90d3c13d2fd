from __future__ import annotations

import pytest
from msgspec.structs import replace
from supervision_fakes import SessionUnderTest, boxed, config_of, health, opened

from stream.reports import SinkState
from stream.supervision.lifecycle import SupervisedNode, SupervisedProcess
from stream.supervision.lifetime_counters import LifetimeCounters
from stream.supervision.run_summary import summarise


def test_counts_go_on_over_restarts():
    counters = LifetimeCounters()
    counters.end_incarnation(health(steps=10, malformed=2, counters={"captured": 12.0}, peak_rss_mb=50))
    totals = counters.totals(health(steps=3, counters={"captured": 4.0}, gauges={"fps": 25.0}))
    assert (totals["steps"], totals["malformed"], totals["captured"]) == (13, 2, 16)
    assert "fps" not in totals
    assert counters.peak_rss_mb == 50


def test_counts_of_several_restarts_are_kept_while_a_node_loads():
    counters = LifetimeCounters()
    for _ in range(3):
        counters.end_incarnation(health(counters={"decoded": 5}))
        counters.end_incarnation(None)
    assert counters.totals(None)["decoded"] == 15


def test_rates_are_over_the_time_that_there_was_work():
    counters = LifetimeCounters()
    assert counters.rate_hz(health(steps=50, active_s=2.0, in_steps_s=0.5)) == 25
    assert counters.busy(health(steps=50, active_s=2.0, in_steps_s=0.5)) == 0.25
    assert counters.rate_hz(None) == 0
    assert counters.busy(None) == 0


def summary_of(*reports, run=None, before=(), **keys):
    """The summary after heartbeats; `before` are the last ones of incarnations that have ended."""
    run = run or SessionUnderTest(**keys)
    nodes = {name: SupervisedNode(name) for name in run.session.nodes}
    for report in before:
        nodes[report.node].take_health(report)
        nodes[report.node].end_incarnation()
    for report in reports:
        nodes[report.node].take_health(report)
        run.session.on_health(report, 0.0)
    processes = [SupervisedProcess(name, [node], config_of(), None) for name, node in nodes.items()]
    processes[1].policy.allows(0.0)
    malformed = {"control": 1, "reports": 2, "commands": 3}
    return summarise(run.session, nodes, processes, malformed=malformed, refused={"keys": 1}, elapsed_s=1.23456)


FEED = (
    health("capture", 19, {"captured": 25, "reconnects": 2}, {"session": 2, "fps": 25}),
    health("tracker", 19, {"tracked": 18, "passed_over": 2, "failed": 1}, malformed=4, steps=99),
    health("decoder", 19, {"decoded": 17, "propagated": 1, "failed": 2}, steps=98),
    health("publisher", 19, {"published": 16}, {"latency_p50": 1.234, "latency_p95": 2.0, "latency_p99": 3.0}),
)


def test_each_number_is_that_of_the_stage_that_owns_it():
    summary = summary_of(*FEED, capture__source="rtsp://h/x")
    assert summary["frames"] == {
        "captured": 25,
        "passed_over": 2,
        "tracked": 18,
        "decoded": 17,
        "propagated": 1,
        "failed": 3,
    }
    assert summary["masks_published"] == 16
    assert summary["latency_ms"] == {"p50": 1.23, "p95": 2.0, "p99": 3.0}
    assert summary["reconnects"] == 2
    assert summary["phase"] == "running"
    assert summary["elapsed_s"] == 1.235
    assert summary["malformed"] == {
        "control": 1,
        "reports": 2,
        "commands": 3,
        **dict.fromkeys(("capture", "decoder", "renderer", "publisher"), 0),
        "tracker": 4,
    }
    assert summary["refused"] == {"keys": 1, "connections": 0, "requests": 0}


def test_frames_of_a_file_that_are_read_again_after_a_restart_count_once():
    assert summary_of(*FEED, capture__source="clip.mp4")["frames"]["captured"] == 20


def test_counters_are_summed_over_restarts_and_gauges_are_the_newest():
    before = health("publisher", 9, {"published": 10}, {"latency_p50": 99.0}, peak_rss_mb=70, steps=10, active_s=1.0)
    summary = summary_of(*FEED, before=[before], capture__source="rtsp://h/x")
    assert summary["masks_published"] == 26
    assert summary["latency_ms"]["p50"] == 1.23
    assert summary["nodes"]["publisher"]["peak_rss_mb"] == 70


def test_sessions_are_counted_once_the_source_is_open():
    assert summary_of(*FEED)["sessions"] == 0
    run = SessionUnderTest([boxed(1)])
    run.session.on_opened(opened(), 0.0)
    summary = summary_of(*FEED, run=run)
    assert summary["sessions"] == 3
    assert [o["id"] for o in summary["objects"]] == [1]


def test_a_run_that_has_just_begun_has_a_summary_with_every_key():
    summary = summary_of()
    assert summary["phase"] == "starting"
    assert summary["frames"] == dict.fromkeys(summary["frames"], 0)
    assert summary["latency_ms"] == {"p50": 0.0, "p95": 0.0, "p99": 0.0}
    assert {"budget", "truth"}.isdisjoint(summary)
    node = summary["nodes"]["decoder"]
    assert node == {**dict.fromkeys(node, 0), "restarts": 0}
    assert summary["nodes"]["tracker"]["restarts"] == 1


def test_budget_and_truth_are_there_when_the_decoder_reports_them():
    gauges = {"frame_ms": 40.04, "encode_ms": 30.06, "refinement_passes": 3, "truth_iou": 0.98765, "truth_count": 5}
    summary = summary_of(health("decoder", gauges=gauges))
    assert summary["budget"] == {"frame_ms": 40.0, "encode_ms": 30.1, "refinement_passes": 3}
    assert summary["truth"] == {"mean_iou": 0.9877}
    assert "truth" not in summary_of(health("decoder", gauges={"truth_iou": 0.0, "truth_count": 0}))


def test_a_recording_that_was_switched_on_is_told_though_nobody_asked_for_it_at_the_start():
    assert (summary_of()["recording"], summary_of()["recording_path"]) == (False, "")
    report = health("renderer", counters={"record_written": 9.0}, gauges={"recording": 1.0})
    report = replace(report, progress=replace(report.progress, sinks={"record": SinkState(path="a.mp4", files=1)}))
    summary = summary_of(report)
    assert (summary["recording"], summary["recording_path"]) == (True, "a.mp4")
    assert summary["sinks"] == {"record": "written"}
    assert summary["written"] == {"record": {"path": "a.mp4", "files": 1, "pictures": 9}}


WRITTEN = {"record_written": 9.0, "save_masks_written": 0.0}
SINKS = {
    "record": SinkState(path="out/a-2.mp4", files=2, error="disk full"),
    "save_masks": SinkState(path="masks", error="read-only"),
}


def test_each_sink_that_was_asked_for_is_named_with_what_became_of_it():
    keys = {"renderer__record": "out/a.mp4", "renderer__save_masks": "masks", "renderer__picture": "p.png"}
    run = SessionUnderTest(**keys)
    report = health("renderer", counters=WRITTEN)
    report = replace(report, progress=replace(report.progress, sinks=SINKS))
    summary = summary_of(report, run=run)
    assert summary["sinks"] == {
        "record": "failed: disk full",
        "picture": "nothing written",
        "save_masks": "failed: read-only",
    }
    assert summary["written"] == {"record": {"path": "out/a-2.mp4", "files": 2, "pictures": 9}}
    run.session.on_done("renderer")
    run.session.on_done("publisher")
    assert summary_of(run=run)["sinks"] == dict.fromkeys(summary["sinks"], "failed: no picture reached it")
    assert {"sinks", "written"}.isdisjoint(summary_of())


def test_a_node_tells_its_rate_its_load_and_its_memory():
    report = health(
        "decoder", steps=50, active_s=2.0, in_steps_s=0.5, step_ms=10.123, rss_mb=80.06, peak_rss_mb=90.0, dropped=3
    )
    assert summary_of(report)["nodes"]["decoder"] == {
        "rate_hz": 25.0,
        "recent_rate_hz": 0.0,
        "busy": 0.25,
        "restarts": 0,
        "peak_rss_mb": 90.0,
        "rss_mb": 80.1,
        "pid": 1,
        "step_ms": 10.12,
        "dropped": 3,
        "transport_ms": 0.0,
    }


@pytest.mark.parametrize("phase", ["running", "paused", "stopped"])
def test_the_phase_of_the_run_is_that_of_capture(phase):
    assert summary_of(health("capture", phase=phase))["phase"] == phase


def test_rates_of_the_last_ten_seconds_forget_what_was_before_and_go_on_over_a_restart():
    node = SupervisedNode("decoder")
    for second in range(100):
        if second == 95:
            node.end_incarnation()
        node.hear(float(second))
        rate = 25 if second < 80 else 5
        steps = rate * (second - 95) if second >= 95 else 25 * min(second, 80) + 5 * max(0, second - 80)
        node.take_health(health("decoder", steps=steps))
        if second == 79:
            assert node.recent.rate_hz("steps", 79.0) == pytest.approx(25)
    assert node.recent.rate_hz("steps", 99.0) == pytest.approx(5, abs=0.6)
    assert node.recent.rate_hz("steps", 120.0) == 0.0


def test_damage_and_recent_numbers_are_in_the_summary():
    gauges = {"recent_latency_p50": 3.0, "recent_latency_p95": 4.0}
    counters = {"damaged_packets": 3, "corrupt_pictures": 2}
    summary = summary_of(health("capture", counters=counters), health("publisher", gauges=gauges))
    assert summary["damage"] == {"damaged_packets": 3, "corrupt_pictures": 2, "too_large": 0}
    assert summary["recent"]["latency_ms"] == {"p50": 3.0, "p95": 4.0}
