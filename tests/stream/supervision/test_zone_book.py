"""Zones by request: set, listed, removed; given to the publisher; kept in the journal."""

from __future__ import annotations

import pytest
from supervision_fakes import SessionUnderTest

from stream.commands import SetZones
from stream.supervision.actions import SendCommand

YARD = [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]


def zones_sent(it):
    return [a.command.zones for a in it.actions(SendCommand) if isinstance(a.command, SetZones)]


def test_a_zone_is_set_listed_and_removed_and_the_publisher_is_told():
    it = SessionUnderTest(zones__lines={"gate": {"points": [[0.5, 0], [0.5, 1]]}})
    it.session.on_hello("publisher", 0.0)
    assert zones_sent(it) == []  # it has the config's own
    assert it.request("set_zone", {"name": "yard", "polygon": YARD, "inside": "foot", "dwell_s": 3}) == {"name": "yard"}
    (sent,) = zones_sent(it)
    assert (list(sent.polygons), sent.polygons["yard"].inside, list(sent.lines)) == (["yard"], "foot", ["gate"])
    listed = it.request("list_zones")
    assert listed["polygons"]["yard"]["dwell_s"] == 3
    assert listed["unit"] == "fraction"
    assert it.request("remove_zone", {"name": "gate"}) == {"name": "gate"}
    (sent,) = zones_sent(it)
    assert (list(sent.polygons), list(sent.lines)) == (["yard"], [])


def test_zones_of_requests_outlive_the_publisher_and_with_a_journal_the_run():
    config = {"zones__lines": {"gate": {"points": [[0.5, 0], [0.5, 1]]}}, "supervisor__journal": "objects.json"}
    it = SessionUnderTest(**config)
    it.request("set_zone", {"name": "yard", "polygon": YARD})
    it.request("remove_zone", {"name": "gate"})
    journal = it.journals()[-1]
    it.session.on_hello("publisher", 0.0)
    (sent,) = zones_sent(it)
    assert list(sent.polygons) == ["yard"]
    again = SessionUnderTest(journal=journal, **config)
    again.session.on_hello("publisher", 0.0)
    (sent,) = zones_sent(again)
    assert (list(sent.polygons), list(sent.lines)) == (["yard"], [])


@pytest.mark.parametrize(
    ("params", "word"),
    [
        ({"name": "yard"}, "polygon or line"),
        ({"name": "yard", "polygon": YARD, "line": YARD[:2]}, "polygon or line"),
        ({"name": "yard", "polygon": YARD[:2]}, "length"),
        ({"name": "yard", "line": YARD}, "length"),
        ({"name": "yard", "polygon": "all"}, "array"),
        ({"name": "yard", "polygon": YARD, "inside": "box"}, "inside"),
        ({"name": "yard", "polygon": YARD, "share": 2}, "share"),
        ({"name": "yard", "polygon": YARD, "colour": "red"}, "colour"),
        ({"name": "a/b", "polygon": YARD}, "regex"),
        ({"name": 3, "polygon": YARD}, "name"),
        ({"polygon": YARD}, "name"),
    ],
)
def test_what_is_no_zone_is_refused_in_words_and_changes_nothing(params, word):
    it = SessionUnderTest()
    error = it.request("set_zone", params)
    assert error["code"] == "bad_params"
    assert word in error["message"]
    assert it.request("list_zones")["polygons"] == {}
    assert it.request("remove_zone", {"name": "yard"})["code"] == "bad_params"


def test_no_more_than_64_zones_are_taken():
    it = SessionUnderTest()
    for i in range(64):
        assert "name" in it.request("set_zone", {"name": f"zone {i}", "polygon": YARD})
    assert "the most" in it.request("set_zone", {"name": "one more", "polygon": YARD})["message"]
    assert "name" in it.request("set_zone", {"name": "zone 3", "line": YARD[:2]})
