"""What a person does with objects that are followed, in Chromium: select, correct, choose, name, remove."""

from __future__ import annotations

from running import until

from browser.live_demo.scene import PLANET, clicked, followed, middle, truth
from browser.live_page import opened
from browser.live_run import iou


def test_keys_select_help_and_remove(run, page):
    object_id, _ = clicked(page, PLANET)
    assert object_id <= 9, "this test comes first, while numbers have keys"
    page.press(str(object_id))
    page.wait_for(lambda s: s["selected"] == object_id, "the selection")
    page.press("Escape")
    page.wait_for(lambda s: s["selected"] is None, "no selection")
    page.press("?")
    assert page.test_id("help-overlay").is_visible()
    page.press("?")
    assert not page.test_id("help-overlay").is_visible()
    page.press(str(object_id))
    page.press("x")
    page.wait_for(lambda s: not s["objects"], "a page without the object")


def test_the_right_button_says_what_is_not_the_object_and_undo_takes_it_back(run, page):
    object_id, _ = clicked(page, PLANET)
    _, mask = followed(page, object_id)
    x, y, _ = middle(mask)
    page.click(x + 20, y - 20, "right")
    until(lambda: page.requests("refine_object"), "the request")
    request = page.requests("refine_object")[-1]
    assert request["object_id"] == object_id
    assert request["points"][0][2] == 0
    page.test_id("undo").click()
    until(lambda: page.requests("undo_point"), "the request")
    page.wait_for(lambda s: [o["id"] for o in s["objects"]] == [object_id], "the object")
    at, mask = next(run.masks_of(object_id))
    assert iou(mask, truth(at, PLANET)) >= 0.75
    assert not page.page.locator("[data-testid='notices'] *").count(), page.test_id("notices").inner_text()


def test_the_wheel_and_the_brackets_choose_a_smaller_or_a_larger_mask(run, page):
    object_id, _ = clicked(page, PLANET)
    page.wait_for(lambda s: s["target"] == object_id, "the object that a correction is for")
    page.page.mouse.wheel(0, -120)
    until(lambda: page.requests("choose_candidate"), "the request")
    up = page.wait_for(lambda s: s["candidate"], "a larger candidate")["candidate"]
    page.press("[")
    down = page.wait_for(lambda s: s["candidate"] and s["candidate"]["index"] < up["index"], "a smaller one")[
        "candidate"
    ]
    assert [r["step"] for r in page.requests("choose_candidate")] == [1, -1]
    assert up["count"] == down["count"] >= 2


def test_an_object_is_renamed_and_removed_and_others_see_it(run, page, chromium, entrance):
    object_id, _ = clicked(page, PLANET)
    page.test_id(f"rename-{object_id}").click()
    page.test_id(f"rename-input-{object_id}").fill("<b>my planet</b>")
    page.press("Enter")
    page.wait_for(lambda s: s["objects"][0]["label"] == "<b>my planet</b>", "its name")
    with opened(chromium, entrance) as other:
        other.open(entrance.url)
        other.wait_for(lambda s: s["objects"] and s["objects"][0]["label"] == "<b>my planet</b>", "its name elsewhere")
        assert "<b>my planet</b>" in other.test_id(f"object-{object_id}").inner_text()
        page.test_id(f"remove-{object_id}").click()
        for tab in (page, other):
            tab.wait_for(lambda s: not s["objects"], "a page without it")
