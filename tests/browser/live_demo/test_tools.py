"""The tools round the picture in Chromium, what the page weighs, and whether everybody can use it."""

from __future__ import annotations

import cv2
import pytest
from running import until

from browser.live_demo.scene import PLANET, clicked, followed
from browser.live_page import LivePage, opened


def test_pictures_are_saved_and_recordings_turned_on_and_off(run, page):
    object_id, _ = clicked(page, PLANET)
    followed(page, object_id)
    with page.page.expect_download() as download:
        page.test_id("snapshot").click()
    picture = cv2.imread(download.value.path(), cv2.IMREAD_COLOR)
    assert picture.shape == (360, 640, 3)
    page.test_id("record").click()
    page.page.wait_for_selector("[data-testid='record'][aria-pressed='true']")
    until(lambda: run.ctl("stats")["recording"], "a recording")
    page.test_id("record").click()
    page.page.wait_for_selector("[data-testid='record'][aria-pressed='false']")


def test_what_a_model_can_not_do_is_said(page):
    page.press("f")
    until(lambda: page.requests("find_objects"), "the request")
    until(lambda: page.test_id("notices").inner_text(), "what the page says of it")


def test_the_page_weighs_little_and_comes_from_here_alone(chromium, entrance):
    with opened(chromium, entrance) as tab:
        fetched: dict[str, int] = {}
        tab.page.on("response", lambda r: fetched.__setitem__(r.url, len(r.body()) if r.status == 200 else 0))
        tab.open(entrance.url)
        assert all(url.startswith(entrance.url) for url in fetched)
        assert 20_000 < sum(fetched.values()) < 200_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_used_by_everybody(run, chromium, entrance, axe, scheme):
    with opened(chromium, entrance, color_scheme=scheme) as tab:
        tab.open(entrance.url)
        run.ctl("add", "--point", "262,215")
        tab.wait_for(lambda s: s["objects"], "an object")
        tab.press("1")
        assert serious(tab, axe) == []
        tab.test_id("help").click()
        tab.test_id("help-close").wait_for()
        assert serious(tab, axe) == []


def serious(page: LivePage, axe: str) -> list[str]:
    """What axe-core finds that keeps somebody from using the page."""
    page.page.evaluate(axe)
    found = page.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html']}" for v in found if v["impact"] in ("serious", "critical")]


def test_a_feed_is_paused_and_goes_on(page):
    """This test comes last: a scene that was paused shows other numbers than those of its frames."""
    for press in (lambda: page.press("p"), lambda: page.test_id("pause").click()):
        press()
        page.wait_for(lambda s: s["banner"] == "paused" and s["stale"], "the word that it is paused")
        press()
        page.wait_for(lambda s: s["banner"] == "live" and not s["stale"], "a live picture")


def test_everybody_can_read_a_paused_page(run, page, axe):
    """As late as the one before it."""
    run.ctl("add", "--point", "262,215")
    page.wait_for(lambda s: s["objects"], "an object")
    page.press("p")
    page.wait_for(lambda s: s["banner"] == "paused" and s["stale"], "the word that it is paused")
    assert serious(page, axe) == []
    page.press("p")
    page.wait_for(lambda s: s["banner"] == "live" and not s["stale"], "a live picture")
