"""When a stream counts as silent, told from how long its packets were waited for."""

from __future__ import annotations

from nodes.capture.decoding.silence import SilenceDetector


def verdicts(*waited_s: float) -> list[bool]:
    detector = SilenceDetector(2.0)
    return [detector.after_packet(w) for w in waited_s]


def test_a_slow_camera_is_not_silent():
    assert verdicts(0.0, 0.0, *[1.43] * 20) == [False] * 22


def test_a_packet_that_only_the_timeout_has_set_free_is_the_last_one():
    assert verdicts(0.0, 0.04, 0.04, 2.01) == [False, False, False, True]
    assert verdicts(0.0, 0.04, 0.0, 0.0, 2.01)[-1]  # of a reader that was behind, too


def test_the_first_packet_after_the_analysis_may_take_two_periods():
    # the parser is empty then: the packet is given when the next one begins
    assert verdicts(0.0, 0.0, 2.03, 1.45, 1.43) == [False] * 5
