"""What a config means for its backends and its kind of feed, as a table."""

from __future__ import annotations

import pytest

from stream.settings.options import BudgetOptions, DiscoveryOptions, TurnOptions, resolve
from stream.settings.presets import load

LIVE, FILE = {"capture.realtime": True}, {"capture.source": "demo"}


def options(preset, **keys):
    return resolve(load(preset, keys))


@pytest.mark.parametrize(
    ("preset", "feed", "link", "redo", "wait", "paced", "check", "budget"),
    [
        ("lite", FILE, "boundary", False, True, False, True, None),
        ("lite", LIVE, "boundary", False, False, True, True, None),
        ("sam_pt", FILE, "visible", False, True, False, False, None),
        ("sam_pt", LIVE, "visible", False, False, True, True, BudgetOptions(None, 12)),
        ("sam_pt_reinit", FILE, "visible", True, True, False, False, None),
        ("sam_pt_reinit", LIVE, "boundary", False, False, True, True, BudgetOptions(None, 12)),
        ("hq_sam_pt", LIVE, "visible", False, False, True, True, BudgetOptions(None, 3)),
        ("sam2_pt", LIVE, "visible", False, False, True, True, BudgetOptions(None, 3)),
        ("sam2_pt_reinit", FILE, "visible", True, True, False, False, None),
        ("sam2_pt_reinit", LIVE, "boundary", False, False, True, True, BudgetOptions(None, 3)),
        ("edgetam_pt", LIVE, "visible", False, False, True, True, BudgetOptions(None, 3)),
    ],
)
def test_backend_and_feed_decide(preset, feed, link, redo, wait, paced, check, budget):
    o = options(preset, **feed)
    assert o.live is (feed is LIVE)
    assert (o.tracker.link, o.tracker.redo_boundary, o.tracker.wait_for_seed, o.tracker.paced) == (
        link,
        redo,
        wait,
        paced,
    )
    assert (o.segmenter.check_masks, o.budget) == (check, budget)


@pytest.mark.parametrize(("feed", "emit"), [(FILE, "horizon"), (LIVE, "frame")])
def test_auto_answers_a_live_feed_at_once_and_a_file_by_windows(feed, emit):
    assert options("lite", **feed, **{"tracker.emit": "auto"}).tracker.emit == emit
    assert options("lite", **feed, **{"tracker.emit": "frame"}).tracker.emit == "frame"


@pytest.mark.parametrize("variant", ["B", "C", "D"])
def test_variants_that_go_back_never_redo_a_boundary(variant):
    assert not options("sam_pt_reinit", **FILE, **{"tracker.reinit_variant": variant}).tracker.redo_boundary


@pytest.mark.parametrize(("value", "live", "file"), [("always", True, True), ("never", False, False)])
def test_waiting_for_seeds_can_be_asked_for_or_refused(value, live, file):
    key = {"tracker.wait_for_seed": value}
    assert options("lite", **LIVE, **key).tracker.wait_for_seed is live
    assert options("lite", **FILE, **key).tracker.wait_for_seed is file


@pytest.mark.parametrize("value", [True, False])
def test_what_the_config_says_of_masks_counts_on_every_feed(value):
    for feed in (LIVE, FILE):
        assert options("sam_pt", **feed, **{"decoder.check_masks": value}).segmenter.check_masks is value


def test_a_budget_may_be_given_or_switched_off():
    assert options("sam_pt", **LIVE, **{"decoder.budget_ms": 30}).budget == BudgetOptions(30, 12)
    assert options("sam_pt", **LIVE, **{"decoder.budget_ms": "off"}).budget is None


def test_objects_of_lite_take_turns_on_a_live_feed_alone():
    assert options("lite", **LIVE).turns == TurnOptions(None)
    assert options("lite", **LIVE, **{"decoder.budget_ms": 30}).turns == TurnOptions(30)
    assert options("lite", **LIVE, **{"decoder.budget_ms": "off"}).turns is None
    assert options("lite", **FILE).turns is None
    assert options("sam_pt", **LIVE).turns is None  # its budget decides


def test_many_objects_share_the_points_of_a_live_feed_and_none_of_a_file():
    assert options("lite", **LIVE).tracker.most_points > 0
    assert options("lite", **FILE).tracker.most_points == 0


def test_objects_are_looked_for_only_where_somebody_asks():
    assert options("sam_pt").discovery == DiscoveryOptions(0, False, 8)  # by request alone
    assert options("lite").discovery is None  # it finds nothing by itself
    keys = {"decoder.auto": 5, "decoder.auto_again": True, "tracker.horizon": 6}
    assert options("sam_pt", **keys).discovery == DiscoveryOptions(5, True, 6)
