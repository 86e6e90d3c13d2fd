from __future__ import annotations

from stream.timing import FramePeriod, RecentLatency


def fed(times_s: list[float], fps: float | None = None, step: int = 1) -> FramePeriod:
    period = FramePeriod()
    period.state(fps)
    for i, at_s in enumerate(times_s):
        period.add(i * step, round(at_s * 1e9))
    return period


def test_nothing_is_known_before_the_second_frame_but_what_the_source_states():
    assert fed([]).s == fed([1.0]).s == 0.0
    assert fed([1.0], fps=5.0).s == 0.2


def test_the_period_is_that_of_one_frame_where_others_were_passed_over():
    assert abs(fed([0.0, 0.2, 0.4], step=5).s - 0.04) < 1e-9


def test_a_burst_and_a_stall_do_not_count():
    steady = [0.2 * i for i in range(20)]
    stalled = [t + (3.0 if t > 2 else 0.0) for t in steady]
    burst = [-0.001 * i for i in range(6, 0, -1)]
    for times_s in (steady, stalled, burst + steady[:12]):
        assert abs(fed(times_s).s - 0.2) < 1e-9


def test_what_is_measured_replaces_what_the_source_states():
    assert abs(fed([0.2 * i for i in range(12)], fps=25.0).s - 0.2) < 1e-9


def test_a_count_that_begins_again_measures_nothing():
    period = fed([0.0, 0.04])
    period.add(0, 9_000_000_000)
    assert abs(period.s - 0.04) < 1e-9


def test_latencies_of_the_last_ten_seconds_forget_what_was_before():
    recent = RecentLatency()
    assert recent.quantile(0.5, 0.0) == 0.0
    for i in range(50):
        recent.add(500.0, i / 2)
    assert recent.quantile(0.5, 24.5) == 500.0
    for i in range(50, 100):
        recent.add(11.0 if i == 99 else 10.0, i / 2)
    assert recent.quantile(0.5, 49.5) == 10.0
    assert recent.quantile(1.0, 49.5) == 11.0
    assert recent.quantile(0.5, 80.0) == 0.0
