"""An old picture never looks live: what goes wrong is said, the picture is grey with its age; then it comes back."""

from __future__ import annotations

import re

from browser.scripted_page import RUNNING, scripted


def shown(page):
    """What a person reads on the banner; empty while there is none."""
    banner = page.test_id("banner")
    return banner.inner_text() if banner.is_visible() else ""


def is_grey(page):
    """Whether the picture on screen has lost its colours."""
    return "grayscale(1)" in page.page.locator("#picture").evaluate("(canvas) => getComputedStyle(canvas).filter")


def test_pictures_that_stop_turn_grey_with_their_age_and_come_back(chromium):
    with scripted(chromium) as (script, page):
        assert shown(page) == ""
        script.flowing = False
        page.wait_for(lambda s: s["banner"] == "stalled", "a stalled picture")
        assert re.search(r"No new picture.*This picture is \d\.\d s old", shown(page), re.S)
        page.wait_for(lambda s: is_grey(page), "a grey picture")
        script.flowing = True
        page.wait_for(lambda s: s["banner"] == "live" and not is_grey(page), "a live picture in colour")
        assert shown(page) == ""
        assert page.problems == []


def test_a_lost_camera_is_told_with_the_time_of_the_next_try(chromium):
    with scripted(chromium) as (script, page):
        script.flowing = False
        script.status = {**RUNNING, "state": "interrupted", "reason": "source_lost", "retry_in_s": 3.4}
        page.wait_for(lambda s: s["banner"] == "offline", "the camera's loss")
        page.wait_for(lambda s: re.search(r"offline.*Next try in [1-4] s", shown(page), re.S), "its next try")
        script.session, script.flowing, script.status = 1, True, dict(RUNNING)
        state = page.wait_for(lambda s: s["banner"] == "live", "the camera's return")
        assert state["painted"]["session"] == 1
        assert page.problems == []


def test_a_paused_run_can_be_resumed_from_the_banner(chromium):
    with scripted(chromium) as (script, page):
        script.flowing, script.status = False, {**RUNNING, "state": "paused"}
        page.wait_for(lambda s: s["banner"] == "paused", "a paused picture")
        page.test_id("banner-action").click()
        page.wait_for(lambda s: script.requests("resume"), "a request")
        assert page.problems == []


def test_a_run_that_is_silent_and_one_that_has_ended_are_told_apart(chromium):
    with scripted(chromium) as (script, page):
        script.flowing = script.talking = False
        page.wait_for(lambda s: s["banner"] == "silent", "silence")
        assert "does not answer" in shown(page)
        script.flowing = script.talking = True
        page.wait_for(lambda s: s["banner"] == "live", "a live picture")
        script.it.server.stop("the clip is over")
        page.wait_for(lambda s: s["banner"] == "ended", "the end")
        assert "has ended" in shown(page)
        assert is_grey(page)


def test_a_lost_server_is_told_and_the_selection_outlives_it(chromium):
    with scripted(chromium) as (script, page):
        script.objects = [{}]
        page.wait_for(lambda s: s["objects"], "an object")
        page.press("1")
        page.wait_for(lambda s: s["selected"] == 1, "a selection")
        page.page.context.set_offline(True)
        page.wait_for(lambda s: s["banner"] == "lost_connection", "the loss")
        told = r"connection to the server is lost.*Next try in \d s.*This picture is"
        page.wait_for(lambda s: re.search(told, shown(page), re.S), "the next try")
        page.page.context.set_offline(False)
        state = page.wait_for(lambda s: s["banner"] == "live", "a live picture")
        assert state["selected"] == 1


def test_what_is_wrong_with_fresh_pictures_is_told_beside_them(chromium):
    with scripted(chromium) as (script, page):
        script.status = {**RUNNING, "state": "degraded", "reason": "restarting decoder"}
        page.wait_for(
            lambda s: s["banner"] == "restarting" and not s["stale"], "a node's restart beside fresh pictures"
        )
        assert "decoder away" in page.test_id("chip").inner_text()
        assert page.problems == []


def test_an_object_s_state_is_listed_with_its_reason_and_how_long_it_is_lost(chromium):
    with scripted(chromium) as (script, page):
        script.objects = [{"state": "uncertain", "reason": "few points visible", "label": "the <b>star</b>"}]
        page.wait_for(lambda s: s["objects"], "an object")
        page.wait_for(lambda s: "uncertain: few points visible" in page.test_id("objects").inner_text(), "its reason")
        assert "the <b>star</b>" in page.test_id("objects").inner_text()  # a text, not markup
        script.objects = [
            {"state": "lost", "reason": "no point visible", "area": 0, "bbox": [0, 0, 0, 0], "shape": [0, 0]}
        ]
        page.wait_for(
            lambda s: re.search(r"lost for \d+ s: no point visible", page.test_id("objects").inner_text()), "its loss"
        )
        script.objects = []
        page.wait_for(lambda s: not s["objects"], "its removal")


def test_a_frame_that_is_gone_is_told_and_the_newest_is_offered(chromium):
    with scripted(chromium) as (script, page):
        script.errors["add_object"] = {"code": "frame_gone", "message": "frame 3 is gone; 20 to 40 are there"}
        page.click(160, 90)
        page.test_id("frame-gone").wait_for()
        assert "frame 3 is gone" in page.test_id("frame-gone").inner_text()
        first = script.requests("add_object")[0]
        del script.errors["add_object"]
        painted = page.wait_for(lambda s: s["painted"]["frame_id"] > first["frame"]["frame_id"], "a newer picture")
        page.test_id("frame-gone-action").click()
        page.wait_for(lambda s: len(script.requests("add_object")) == 2, "another request")
        second = script.requests("add_object")[1]
        assert second["points"] == first["points"]
        assert second["frame"]["frame_id"] >= painted["painted"]["frame_id"]


def test_a_recording_without_a_picture_is_told_as_none(chromium):
    with scripted(chromium) as (script, page):
        for reply, told in (
            ({"recording": True, "path": "/videos/door.mp4"}, "Recording to /videos/door.mp4"),
            ({"recording": False, "path": ""}, "Nothing was recorded"),
        ):
            script.results["record"] = reply
            page.press("r")
            page.page.get_by_text(told).first.wait_for()
        assert [params["on"] for params in script.requests("record")] == [True, False]


def test_a_hidden_page_asks_for_no_pictures(chromium):
    with scripted(chromium) as (script, page):
        hide = "(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
        hide += " document.dispatchEvent(new Event('visibilitychange')); }"
        page.page.evaluate(hide, True)
        page.wait_for(lambda s: not script.it.looked_at, "nobody who looks")
        page.page.evaluate(hide, False)
        page.wait_for(lambda s: script.it.looked_at and s["banner"] == "live", "a live picture")


def test_a_small_screen_gets_a_small_picture_and_its_clicks_mean_the_frame(chromium):
    with scripted(chromium, viewport={"width": 170, "height": 400}) as (script, page):
        page.wait_for(lambda s: page.page.locator("#picture").evaluate("(c) => c.width") == 160, "a smaller picture")
        state = page.state()
        assert (state["painted"]["width"], state["painted"]["height"]) == (320, 180)
        page.click(200, 100)
        page.wait_for(lambda s: script.requests("add_object"), "a request")
        x, y, label = script.requests("add_object")[0]["points"][0]
        assert abs(x - 200) <= 2
        assert abs(y - 100) <= 2
        assert label == 1
