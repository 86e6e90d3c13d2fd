"""Areas and lines drawn in the page, in Chromium: what is sent, what is shown, and what others draw; scripted."""

from __future__ import annotations

from typing import Any

import pytest
from running import until
from web.events.event_messages import entered, events_parts

from browser.scripted_page import Script, scripted

YARD = {"points": [[0.1, 0.1], [0.5, 0.1], [0.5, 0.6]], "inside": "foot", "share": 0.5, "dwell_s": 4.0}
GATE = {"points": [[0.5, 0.2], [0.5, 0.9]], "crossed_by": "any"}


def watch(script: Script, polygons: dict[str, Any], lines: dict[str, Any]) -> None:
    """The run has these zones and lines."""
    script.results["list_zones"] = {"polygons": polygons, "lines": lines, "unit": "fraction"}


def test_an_area_and_a_line_are_drawn_named_and_watched(chromium: Any) -> None:
    with scripted(chromium) as (script, page):
        watch(script, {}, {})
        page.press("a")
        for x, y in ((40, 30), (200, 30), (200, 120), (60, 110)):
            page.click(x, y)
        page.drag(60, 110, 80, 140)  # a corner is taken and moved
        page.test_id("zone-name").fill("yard")
        watch(script, {"yard": YARD}, {})
        page.press("Enter")
        until(lambda: script.requests("set_zone"), "the request")
        (request,) = script.requests("set_zone")
        assert request["name"] == "yard"
        assert [x for x, _ in request["polygon"]] == pytest.approx([a / 320 for a in (40, 200, 200, 80)], abs=0.01)
        assert [y for _, y in request["polygon"]] == pytest.approx([a / 180 for a in (30, 30, 120, 140)], abs=0.01)
        page.wait_for(lambda s: [z["name"] for z in s["zones"]] == ["yard"], "the zone")
        assert not page.test_id("zone-strip").is_visible()

        page.test_id("tool-zone").click()
        page.test_id("zone-line").click()
        page.click(150, 20)
        page.click(160, 170)
        page.test_id("zone-save").click()
        until(lambda: len(script.requests("set_zone")) == 2, "the request")
        line = script.requests("set_zone")[1]
        assert (line["name"], len(line["line"])) == ("line 1", 2)
        assert not script.requests("add_object")
        assert not script.requests("hold_frame")
        assert page.problems == []


def test_zones_of_others_are_shown_with_counts_and_events_and_can_be_drawn_anew_and_removed(chromium: Any) -> None:
    with scripted(chromium) as (script, page):
        watch(script, {"yard": YARD}, {"gate": GATE})
        script.it.listener.publish(events_parts(5, entered(1)))
        page.wait_for(lambda s: {z["name"]: z["counts"] for z in s["zones"]}.get("yard"), "counts of the zone")
        page.test_id("zones-card").locator("summary").click()
        until(lambda: "1 inside, 5 entered" in page.test_id("zone-yard").inner_text(), "the zone's counts")
        assert "2 to the right, 1 to the left" in page.test_id("zone-gate").inner_text()
        assert "Object 1 entered yard" in page.test_id("events").inner_text()

        page.test_id("edit-zone-yard").click()
        page.drag(0.5 * 320 - 0.5, 0.6 * 180 - 0.5, 200, 150)
        page.test_id("zone-save").click()
        until(lambda: script.requests("set_zone"), "the request")
        (request,) = script.requests("set_zone")
        assert (request["inside"], request["dwell_s"], request["name"]) == ("foot", 4.0, "yard")
        assert request["polygon"][2] == pytest.approx([200.5 / 320, 150.5 / 180], abs=0.01)

        page.test_id("remove-zone-gate").click()
        until(lambda: script.requests("remove_zone"), "the request")
        watch(script, {"yard": YARD}, {})
        page.wait_for(lambda s: [z["name"] for z in s["zones"]] == ["yard"], "a page without the line")
        assert script.requests("remove_zone") == [{"name": "gate"}]
        assert page.problems == []


def test_a_zone_is_drawn_by_the_keyboard_alone_and_a_refusal_is_told(chromium: Any) -> None:
    with scripted(chromium) as (script, page):
        watch(script, {}, {})
        script.errors["set_zone"] = {"code": "bad_params", "message": "there are 64 zones and lines"}
        page.press("a")
        page.test_id("stage").focus()
        for key in ("ArrowRight", "Shift+ArrowDown", "Shift+ArrowLeft"):
            page.press(key)
            page.press("Enter")
        page.press("d")
        until(lambda: "there are 64" in page.test_id("notices").inner_text(), "the refusal")
        assert len(script.requests("set_zone")[0]["polygon"]) == 3
        page.press("Escape")
        page.press("Escape")
        assert not page.test_id("zone-strip").is_visible()
        assert page.problems == []
