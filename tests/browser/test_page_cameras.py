"""Several cameras in one page, in Chromium: the grid, then one; the run is written by the test."""

from __future__ import annotations

from typing import Any

from running import until

from browser.scripted_page import scripted

CAMERAS = ("door", "hall", "yard", "gate")


def words(page: Any, camera: str) -> str:
    return str(page.test_id(f"tile-{camera}").inner_text())


def test_the_grid_shows_all_cameras_and_a_tile_leads_to_one_and_back(chromium: Any):
    with scripted(chromium, CAMERAS) as (script, page):
        state = page.wait_for(lambda s: s["grid"], "the grid")
        assert state["camera"] is None
        script.states["yard"] = {"state": "interrupted", "reason": "source_lost", "retry_in_s": 4}
        for camera in ("door", "hall", "gate"):
            until(lambda c=camera: page.test_id(f"tile-{c}").get_attribute("data-stale") == "false", camera)
        until(lambda: "offline, next try in 4 s" in words(page, "yard"), "a camera that is offline")
        assert page.test_id("tile-yard").get_attribute("data-stale") == "true"
        assert not page.test_id("stage").is_visible()

        page.test_id("tile-hall").click()
        page.wait_for(lambda s: s["camera"] == "hall" and s["banner"] == "live" and s["painted"], "the hall alone")
        assert page.test_id("stage").is_visible()
        page.click(100, 60)
        until(lambda: script.requests("add_object"), "a request")
        assert {r["camera"] for r in script.requests("add_object")} == {"hall"}

        page.press("g")
        page.wait_for(lambda s: s["grid"], "the grid again")
        page.press("4")
        page.wait_for(lambda s: s["camera"] == "gate" and s["banner"] == "live", "the fourth camera")
        page.page.go_back()
        page.wait_for(lambda s: s["grid"], "the grid by the browser's own button")
        assert page.problems == []


def test_a_camera_that_the_address_names_is_shown_at_once_and_survives_a_reload(chromium: Any):
    with scripted(chromium, CAMERAS) as (script, page):
        page.page.goto(script.it.url + "#gate")
        page.page.reload()
        page.wait_for(lambda s: s["camera"] == "gate" and s["banner"] == "live", "the camera of the address")
        page.test_id("all-cameras").click()
        page.wait_for(lambda s: s["grid"], "the grid")


def test_the_grid_says_when_its_server_is_silent(chromium: Any):
    with scripted(chromium, CAMERAS) as (script, page):
        page.wait_for(lambda s: s["grid"], "the grid")
        script.flowing = script.talking = False
        until(lambda: "does not answer" in page.test_id("grid-notice").inner_text(), "a notice")
        assert page.test_id("tile-door").get_attribute("data-stale") == "true"
        script.flowing = script.talking = True
        until(lambda: not page.test_id("grid-notice").inner_text(), "no notice any more")
