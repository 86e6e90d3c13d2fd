"""What a person points at on the live demo scene, in Chromium, by mouse, finger, brush and keyboard."""

from __future__ import annotations

import numpy as np
from running import PATIENCE_S, until

from browser.live_demo.scene import (
    PLANET,
    ROCK,
    STAR,
    centre,
    clicked,
    held_on,
    middle,
    seen,
    truth,
    whole,
)
from browser.live_page import opened
from browser.live_run import iou
from nodes.capture.scene import PERIOD


def test_an_object_that_was_hidden_comes_back_with_its_id(run, page):
    object_id, _ = clicked(page, STAR)
    next(run.masks_of(object_id))
    page.wait_for(lambda s: truth(s["painted"]["frame_id"], STAR).sum() < 200, "the star behind the planet")

    def back() -> bool:
        found = page.mask(object_id)
        return found is not None and iou(found[1], truth(found[0], STAR)) >= 0.5

    page.wait_for(lambda s: truth(s["painted"]["frame_id"], STAR).sum() > 4000, "the star in sight again")
    until(back, "its mask, with the same id")
    assert [o["id"] for o in page.state()["objects"]] == [object_id]


def test_a_held_picture_is_the_frame_that_a_click_acts_on_though_the_object_has_moved_on(run, page):
    moving = (*range(5, 35), *range(165, 200))  # of 250: the rock is whole and goes 100 px in the next 35 frames
    page.wait_for(lambda s: s["painted"]["frame_id"] % PERIOD in moving, "a rock on its way")
    held, _, _ = held_on(page, ROCK)
    assert (page.code(), page.state()["frozen"]) == (held, True)

    def way() -> float:
        return float(np.hypot(*np.subtract(centre(run.newest().masks.stamp.frame_id), centre(held))))

    until(lambda: way() >= 100, "a rock that is 100 px from where it is seen")
    assert page.code() == page.state()["painted"]["frame_id"] == held
    page.page.mouse.up()
    page.wait_for(lambda s: s["objects"] and not s["frozen"], "an object, and a picture that goes on")
    assert page.requests("add_object")[-1]["frame"]["frame_id"] == held
    at, mask = next(run.masks_of(page.state()["objects"][0]["id"]))
    assert iou(mask, truth(at, ROCK)) >= 0.6


def test_a_box_that_is_drawn_is_the_prompt(run, page):
    frame_id = 0

    def aimed() -> bool:
        nonlocal frame_id
        seen(page, ROCK, deep=30)
        page.test_id("stage").focus()
        page.press("ArrowLeft")  # aiming holds the picture, so that the box can be drawn in peace
        frame_id = page.wait_for(lambda s: s["frozen"], "a held picture")["painted"]["frame_id"]
        if whole(frame_id, ROCK) and not truth(frame_id, ROCK)[:, -30:].any():
            return True
        page.press("Escape")
        return False

    until(aimed, "all of the rock on a held picture")
    rows, columns = np.nonzero(truth(frame_id, ROCK))
    box = (columns.min() - 6, rows.min() - 6, columns.max() + 6, rows.max() + 6)
    page.drag(*map(float, box))
    page.wait_for(lambda s: s["objects"] and not s["frozen"], "an object")
    request = page.requests("add_object")[-1]
    assert request["frame"]["frame_id"] == frame_id
    assert np.abs(np.subtract(request["box"], box)).max() <= 1.5
    at, mask = next(run.masks_of(page.state()["objects"][0]["id"]))
    assert iou(mask, truth(at, ROCK)) >= 0.7


def test_what_the_brush_paints_is_followed(run, page):
    page.press("b")
    frame_id, x, y = seen(page, PLANET, deep=60)
    reach = 35
    for dy in (-reach, 0, reach):
        page.drag(x - reach, y + dy, x + reach, y + dy)
    held = page.state()
    assert held["frozen"]
    assert held["painted"]["frame_id"] >= frame_id
    page.test_id("brush-commit").click()
    page.wait_for(lambda s: s["objects"] and not s["frozen"], "an object")
    request = page.requests("add_object")[-1]
    assert request["frame"]["frame_id"] == held["painted"]["frame_id"]
    assert request["mask"]["bbox"][2] >= 2 * reach
    at, mask = next(run.masks_of(page.state()["objects"][0]["id"]))
    assert iou(mask, truth(at, PLANET)) >= 0.2  # as little as was painted
    assert mask[truth(at, PLANET)].sum() >= 0.9 * mask.sum()


def test_the_keyboard_alone_aims_and_clicks(run, page):
    def aimed() -> bool:
        run.remove_all()
        page.wait_for(lambda s: not s["objects"] and whole(s["painted"]["frame_id"], PLANET), "the whole planet")
        page.test_id("stage").focus()
        page.press("ArrowLeft")
        held = page.wait_for(lambda s: s["frozen"], "a held picture")["painted"]["frame_id"]
        x, y, _ = middle(truth(held, PLANET))
        for key, steps in (("ArrowLeft", round((320 - 4 - x) / 24)), ("ArrowDown", round((y - 180) / 24))):
            for _ in range(steps):
                page.press(f"Shift+{key}")
        page.press("Enter")
        state = page.wait_for(lambda s: s["objects"] and not s["frozen"], "an object")
        at, mask = next(run.masks_of(state["objects"][0]["id"]))
        if not (whole(held, PLANET) and whole(at, PLANET)):
            return False  # something has come before it meanwhile
        # steps of 24 px end somewhere on the planet, perhaps between two of its bands, where a click gives 0.6 of it
        assert iou(mask, truth(at, PLANET)) >= 0.5
        return True

    until(aimed, "a planet that is whole from the click to its mask", 4 * PATIENCE_S)


def test_a_finger_taps_an_object_and_holds_for_what_it_is_not(run, chromium, entrance):
    run.remove_all()
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
    with opened(chromium, entrance, **phone) as tab:
        tab.open(entrance.url)
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390
        _, x, y = seen(tab, PLANET, deep=50)
        tab.page.touchscreen.tap(*tab.place(x, y))
        state = tab.wait_for(lambda s: s["objects"], "an object")
        at, mask = next(run.masks_of(state["objects"][0]["id"]))
        assert iou(mask, truth(at, PLANET)) >= (0.75 if whole(at, PLANET) else 0.5)
        tab.test_id("negative").tap()
        _, x, y = seen(tab, PLANET, deep=50)
        tab.page.touchscreen.tap(*tab.place(x + 15, y - 15))
        until(lambda: tab.requests("refine_object"), "a negative point")
        assert tab.requests("refine_object")[-1]["points"][0][2] == 0
        for name in ("tool-point", "negative", "pause"):
            box = tab.test_id(name).bounding_box()
            assert min(box["width"], box["height"]) >= 40, f"{name} is too small for a thumb"
