"""What mouse and keys ask of control, and what the window is to show of it."""

from __future__ import annotations

from typing import Any

import pytest

from nodes.renderer.interaction import Interaction


class Person:
    """An Interaction on a frame of 640x360 with objects 1 and 3, what it sent, and a clock that is set by hand."""

    def __init__(self, objects: tuple[int, ...] = (1, 3)) -> None:
        self.sent: list[dict[str, Any]] = []
        self.now = 100.0
        self.person = Interaction(self.sent.append, clock=lambda: self.now)
        self.person.take_frame((360, 640), objects)

    def click(self, x: float, y: float) -> None:
        self.person.press("left", (x, y))
        self.person.release((x + 1, y))

    def keys(self, *names: str) -> None:
        for name in names:
            self.person.key(name)

    def reply(self, result: dict[str, Any] | None = None, error: str = "") -> None:
        answer = {"error": {"code": "bad", "message": error}} if error else {"result": result or {}}
        self.person.take_reply(self.sent[-1], {"id": 1, **answer})

    def line(self) -> str:
        return next(iter(self.person.help_lines()), "")


def request(method: str, **params: Any) -> dict[str, Any]:
    return {"method": method, "params": params}


def test_a_left_click_starts_an_object():
    person = Person()
    person.click(100.04, 50)
    assert person.sent == [request("add_object", points=[[100.0, 50.0, 1]])]


def test_a_left_click_adds_a_positive_point_to_the_selected_object():
    person = Person()
    person.keys("3")
    person.click(10, 20)
    assert person.sent == [request("refine_object", object_id=3, points=[[10.0, 20.0, 1]])]


def test_a_right_click_adds_a_negative_point_to_the_selected_object():
    person = Person()
    person.keys("1")
    person.person.press("right", (10, 20))
    assert person.sent == [request("refine_object", object_id=1, points=[[10.0, 20.0, 0]])]


def test_a_right_click_without_a_selection_asks_for_one():
    person = Person()
    person.person.press("right", (10, 20))
    assert person.sent == []
    assert "select" in person.line()


def test_dragging_gives_a_box_whatever_its_direction():
    person = Person()
    person.person.press("left", (200, 180))
    assert person.person.box is None
    person.person.move((120, 100))
    assert person.person.box == (120, 100, 200, 180)
    person.person.release((100, 90))
    assert person.person.box is None
    assert person.sent == [request("add_object", box=[100, 90, 200, 180])]


def test_a_box_that_is_dragged_out_of_the_frame_ends_at_its_edge():
    person = Person()
    person.person.press("left", (600, 300))
    person.person.release((9999, 400))
    assert person.sent == [request("add_object", box=[600, 300, 639, 359])]


def test_a_box_starts_a_new_object_also_with_one_selected():
    person = Person()
    person.keys("1")
    person.person.press("left", (10, 10))
    person.person.release((50, 50))
    assert person.sent == [request("add_object", box=[10, 10, 50, 50])]


def test_a_trembling_hand_clicks():
    person = Person()
    person.person.press("left", (10, 10))
    person.person.move((13, 12))
    person.person.release((13, 12))
    assert person.sent == [request("add_object", points=[[10, 10, 1]])]


@pytest.mark.parametrize("xy", [(-1.0, 10.0), (640.0, 10.0), (10.0, 360.0), (10.0, -0.6)])
def test_clicks_outside_the_picture_are_ignored(xy: tuple[float, float]):
    person = Person()
    person.keys("1")
    person.click(*xy)
    person.person.press("right", xy)
    assert person.sent == []


def test_a_click_on_the_outer_half_of_an_edge_pixel_lies_in_the_frame():
    person = Person()
    person.click(-0.4, 359.4)
    assert person.sent == [request("add_object", points=[[0, 359, 1]])]


def test_nothing_can_be_clicked_before_the_first_frame():
    sent: list[dict[str, Any]] = []
    person = Interaction(sent.append)
    person.press("left", (1, 1))
    person.move((5, 5))
    person.release((5, 5))
    assert sent == []


def test_a_frame_of_another_size_lets_go_of_the_box():
    person = Person()
    person.person.press("left", (10, 10))
    person.person.take_frame((720, 1280), (1, 3))
    person.person.release((90, 90))
    assert person.sent == []


def test_number_keys_select_and_the_same_again_unselects():
    person = Person()
    person.keys("3")
    assert person.person.selected == 3
    person.keys("3")
    assert person.person.selected is None
    person.keys("2")
    assert person.person.selected is None
    assert person.line() == "there is no object 2"


def test_tab_goes_round_the_objects_and_escape_unselects():
    person = Person((1, 3, 12))
    ids = []
    for _ in range(4):
        person.keys("tab")
        ids.append(person.person.selected)
    assert ids == [1, 3, 12, 1]
    person.keys("escape")
    assert person.person.selected is None
    Person(()).keys("tab")


@pytest.mark.parametrize("key", ["x", "X", "delete"])
def test_removing_takes_the_selected_object_and_unselects_it(key: str):
    person = Person()
    person.keys("3", key)
    assert person.sent == [request("remove_object", object_id=3)]
    assert person.person.selected is None
    person.keys(key)
    assert len(person.sent) == 1


def test_space_and_p_pause_and_resume_in_turn():
    person = Person()
    person.keys(" ", "p", " ")
    assert person.sent == [request("pause"), request("resume"), request("pause")]


def test_a_pause_that_is_refused_did_not_happen():
    person = Person()
    person.keys(" ")
    person.reply(error="not now")
    person.keys(" ")
    assert person.sent[-1] == request("pause")


def test_quitting_is_asked_for_once():
    person = Person()
    person.keys("s", "q", "q")
    person.person.quit()
    assert person.sent == [request("snapshot"), request("shutdown")]


def test_a_quit_that_is_refused_can_be_asked_for_again():
    person = Person()
    person.keys("q")
    person.reply(error="not now")
    person.keys("q")
    assert person.sent == [request("shutdown")] * 2


def test_other_keys_do_nothing():
    person = Person()
    person.keys("w", "0", "\x00", "ÿ", "enter")
    assert person.sent == []


def test_an_object_that_was_added_is_selected_before_it_is_seen():
    person = Person()
    person.click(100, 50)
    person.reply({"object_id": 4})
    person.person.take_frame((360, 640), (1, 3))
    assert person.person.selected == 4
    person.person.take_frame((360, 640), (1, 3, 4))
    assert person.person.selected == 4


def test_an_object_that_is_gone_is_no_longer_selected():
    person = Person()
    person.click(100, 50)
    person.reply({"object_id": 4})
    person.person.take_frame((360, 640), (1, 3, 4))
    person.person.take_frame((360, 640), (1, 3))
    assert person.person.selected is None


def test_an_error_is_shown_for_three_seconds():
    person = Person()
    before = person.line()
    person.click(100, 50)
    person.reply(error="point 100,50 lies outside")
    assert person.line() == "point 100,50 lies outside"
    person.now += 2.9
    assert person.line() == "point 100,50 lies outside"
    person.now += 0.2
    assert person.line() == before


def test_a_snapshot_tells_its_path():
    person = Person()
    person.keys("s")
    person.reply({"path": "/tmp/snap.png"})
    assert person.line() == "saved /tmp/snap.png"


def test_h_hides_the_help_line_but_not_the_messages():
    person = Person()
    person.keys("h")
    assert person.line() == ""
    person.keys("2")
    assert person.line() == "there is no object 2"
    person.now += 4
    assert person.line() == ""
    person.keys("h")
    assert "q: quit" in person.line()


def test_the_help_line_tells_what_a_click_would_do_and_has_shorter_wordings():
    person = Person()
    assert "click: new object" in person.line()
    assert "space: pause" in person.line()
    person.keys("3", " ")
    assert "object 3" in person.line()
    assert "space: resume" in person.line()
    wordings = person.person.help_lines()
    assert [len(w) for w in wordings] == sorted((len(w) for w in wordings), reverse=True)
