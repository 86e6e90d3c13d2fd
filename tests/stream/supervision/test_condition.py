"""What is wrong with a feed, and since when."""

from __future__ import annotations

import pytest
from supervision_fakes import health

from stream.supervision.condition import Condition, Signs, assess, read_signs
from stream.supervision.lifecycle import SupervisedNode


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ({}, ("running", "")),
        ({"opened": False, "phase": "connecting"}, ("starting", "")),
        ({"opened": False, "phase": "backing off"}, ("starting", "waiting_for_source")),
        ({"phase": "connecting"}, ("interrupted", "source_lost")),
        ({"phase": "backing off", "frame_age_s": 60.0}, ("interrupted", "source_lost")),
        ({"frame_age_s": 3.5}, ("interrupted", "no_frames")),
        ({"frame_age_s": 9.0, "period_s": 5.0}, ("running", "")),  # a camera of 0.2 frames/s
        ({"frame_age_s": 11.0, "period_s": 5.0}, ("interrupted", "no_frames")),
        ({"frame_age_s": 3.5, "damage": 40}, ("interrupted", "undecodable")),
        ({"frame_age_s": 3.5, "live": False}, ("running", "")),  # a reader that is behind holds a clip back
        ({"damage": 1}, ("degraded", "damaged")),
        ({"frozen_s": 3.5}, ("degraded", "frozen")),
        ({"frozen_s": 3.5, "black_s": 3.5}, ("degraded", "black")),
        ({"frozen_s": 1.0, "black_s": 1.0}, ("running", "")),
        ({"paused": True, "phase": "paused", "frame_age_s": 60.0}, ("paused", "")),
        ({"restarting": ["decoder", "tracker"]}, ("degraded", "restarting decoder tracker")),
        ({"stalled": ["decoder"], "frozen_s": 3.5}, ("degraded", "stalled decoder")),
        ({"failed": 2, "frozen_s": 3.5}, ("degraded", "model_failed")),
        ({"failed": 2, "live": False}, ("running", "")),  # of a clip, the summary counts them
        ({"journal_failed": True}, ("degraded", "journal_failed")),
        ({"phase": "stopped"}, ("ended", "")),
    ],
)
def test_the_worst_sign_makes_the_state(signs, expected):
    assert assess(Signs(**signs)) == expected


def test_since_is_when_state_or_reason_changed():
    condition = Condition(10.0)
    condition.judge(Signs(), 11.0)
    condition.judge(Signs(), 20.0)
    assert (condition.state, condition.since_s) == ("running", 11.0)
    condition.judge(Signs(damage=1), 21.0)
    condition.judge(Signs(frozen_s=9.0), 22.0)
    assert (condition.state, condition.reason, condition.since_s) == ("degraded", "frozen", 22.0)


def nodes_of(*seconds_and_reports):
    nodes = {name: SupervisedNode(name) for name in ("capture", "decoder")}
    for second, report in seconds_and_reports:
        node = nodes[report.node]
        node.hear(second)
        node.take_health(report)
    return nodes


def test_a_stream_that_stops_being_decodable_is_told_within_five_seconds():
    beats = [
        (
            float(s),
            health("capture", 5, counters={"damaged_packets": max(0, s - 10)}, gauges={"frame_age_s": max(0, s - 10)}),
        )
        for s in range(15)
    ]
    condition = Condition(0.0)
    for last in range(1, len(beats) + 1):
        nodes = nodes_of(*beats[:last])
        condition.judge(read_signs(nodes, beats[last - 1][0], live=True, opened=True, paused=False), beats[last - 1][0])
    assert (condition.state, condition.reason) == ("interrupted", "undecodable")
    assert condition.since_s <= 15.0


def test_damage_is_forgotten_after_ten_seconds_and_the_age_grows_between_heartbeats():
    beats = [(float(s), health("capture", 5, counters={"corrupt_pictures": min(s, 3)})) for s in range(30)]
    signs = read_signs(nodes_of(*beats[:8]), 7.0, live=True, opened=True, paused=False)
    assert signs.damage == 3
    signs = read_signs(nodes_of(*beats), 31.5, live=True, opened=True, paused=False)
    assert (signs.damage, signs.frame_age_s) == (0, 2.5)


def test_the_wait_until_the_next_attempt_runs_on_between_heartbeats():
    nodes = nodes_of((1.0, health("capture", 5, phase="backing off", gauges={"retry_in_s": 4.0})))
    assert read_signs(nodes, 2.5, live=True, opened=True, paused=False).retry_in_s == 2.5
    assert read_signs(nodes, 9.0, live=True, opened=True, paused=False).retry_in_s == 0.0
    assert (
        read_signs(nodes_of((1.0, health("capture", 5))), 1.0, live=True, opened=True, paused=False).retry_in_s is None
    )


def test_a_feed_whose_capture_has_not_told_of_a_picture_is_starting():
    nodes = nodes_of((1.0, health("capture", phase="connecting")))
    assert not read_signs(nodes, 1.5, live=True, opened=True, paused=False).opened


def test_a_node_that_is_back_is_no_longer_restarting():
    nodes = nodes_of((1.0, health("capture", 5)))
    signs = {"live": True, "opened": True, "paused": False}
    assert read_signs(nodes, 1.0, **signs).restarting == []  # it loads for the first time
    nodes["decoder"].load()
    nodes["decoder"].begin(2.0)
    assert read_signs(nodes, 2.0, **signs).restarting == ["decoder"]
    nodes["decoder"].load()
    assert read_signs(nodes, 3.0, **signs).restarting == []


def test_a_camera_that_was_seen_before_is_lost_and_not_starting_when_its_capture_is_back_without_it():
    nodes = nodes_of((1.0, health("capture", 5, gauges={"frame_age_s": 0.5})))
    capture, signs = nodes["capture"], {"live": True, "opened": True, "paused": False}
    capture.load()
    capture.end_incarnation()
    capture.begin(4.0)
    assert assess(read_signs(nodes, 4.0, **signs)) == ("degraded", "restarting capture")
    capture.load()
    capture.hear(6.0)
    capture.take_health(health("capture", phase="backing off"))
    found = read_signs(nodes, 6.0, **signs)
    assert assess(found) == ("interrupted", "source_lost")
    assert found.frame_age_s == 5.5  # of the picture that the last incarnation had


@pytest.mark.parametrize(
    ("usual_s", "at_step_s", "stalled"),
    [(0.02, 2.9, []), (0.02, 3.1, ["decoder"]), (4.0, 10.0, []), (4.0, 13.0, ["decoder"])],
)
def test_a_step_that_takes_far_longer_than_usual_is_told(usual_s, at_step_s, stalled):
    nodes = nodes_of((1.0, health("decoder", 5, steps=10, in_steps_s=10 * usual_s, in_step_s=at_step_s)))
    assert read_signs(nodes, 1.0, live=True, opened=True, paused=False).stalled == stalled


def test_a_model_without_answers_is_told_for_ten_seconds():
    beats = [(float(s), health("decoder", 5, counters={"failed": min(s, 3)})) for s in range(30)]
    assert read_signs(nodes_of(*beats[:5]), 4.0, live=True, opened=True, paused=False).failed == 3
    assert read_signs(nodes_of(*beats), 29.0, live=True, opened=True, paused=False).failed == 0


def test_the_period_is_what_capture_has_measured():
    for fps, period_s in ((0.2, 5.0), (0.0, 0.0)):
        nodes = nodes_of((1.0, health("capture", 5, gauges={"fps": fps})))
        assert read_signs(nodes, 1.0, live=True, opened=True, paused=False).period_s == period_s
