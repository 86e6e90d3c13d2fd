"""What mouse and keys ask of control, and what the window is to show of it."""

from __future__ import annotations

from typing import Any

import pytest

from nodes.renderer.interaction import Interaction


class RequestHandler:
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
    desk = RequestHandler()
    desk.click(100.04, 50)
    assert desk.sent == [request("add_object", points=[[100.0, 50.0, 1]])]


def test_a_left_click_adds_a_positive_point_to_the_selected_object():
    desk = RequestHandler()
    desk.keys("3")
    desk.click(10, 20)
    assert desk.sent == [request("refine_object", object_id=3, points=[[10.0, 20.0, 1]])]


def test_a_right_click_adds_a_negative_point_to_the_selected_object():
    desk = RequestHandler()
    desk.keys("1")
    desk.person.press("right", (10, 20))
    assert desk.sent == [request("refine_object", object_id=1, points=[[10.0, 20.0, 0]])]


def test_a_right_click_without_a_selection_asks_for_one():
    desk = RequestHandler()
    desk.person.press("right", (10, 20))
    assert desk.sent == []
    assert "select" in desk.line()


def test_dragging_gives_a_box_whatever_its_direction():
    desk = RequestHandler()
    desk.person.press("left", (200, 180))
    assert desk.person.box is None
    desk.person.move((120, 100))
    assert desk.person.box == (120, 100, 200, 180)
    desk.person.release((100, 90))
    assert desk.person.box is None
    assert desk.sent == [request("add_object", box=[100, 90, 200, 180])]


def test_a_box_that_is_dragged_out_of_the_frame_ends_at_its_edge():
    desk = RequestHandler()
    desk.person.press("left", (600, 300))
    desk.person.release((9999, 400))
    assert desk.sent == [request("add_object", box=[600, 300, 639, 359])]


def test_a_box_starts_a_new_object_also_with_one_selected():
    desk = RequestHandler()
    desk.keys("1")
    desk.person.press("left", (10, 10))
    desk.person.release((50, 50))
    assert desk.sent == [request("add_object", box=[10, 10, 50, 50])]


def test_a_trembling_hand_clicks():
    desk = RequestHandler()
    desk.person.press("left", (10, 10))
    desk.person.move((13, 12))
    desk.person.release((13, 12))
    assert desk.sent == [request("add_object", points=[[10, 10, 1]])]


@pytest.mark.parametrize("xy", [(-1.0, 10.0), (640.0, 10.0), (10.0, 360.0), (10.0, -0.6)])
def test_clicks_outside_the_picture_are_ignored(xy: tuple[float, float]):
    desk = RequestHandler()
    desk.keys("1")
    desk.click(*xy)
    desk.person.press("right", xy)
    assert desk.sent == []


def test_a_click_on_the_outer_half_of_an_edge_pixel_lies_in_the_frame():
    desk = RequestHandler()
    desk.click(-0.4, 359.4)
    assert desk.sent == [request("add_object", points=[[0, 359, 1]])]


def test_nothing_can_be_clicked_before_the_first_frame():
    sent: list[dict[str, Any]] = []
    person = Interaction(sent.append)
    person.press("left", (1, 1))
    person.move((5, 5))
    person.release((5, 5))
    assert sent == []


def test_a_frame_of_another_size_lets_go_of_the_box():
    desk = RequestHandler()
    desk.person.press("left", (10, 10))
    desk.person.take_frame((720, 1280), (1, 3))
    desk.person.release((90, 90))
    assert desk.sent == []


def test_number_keys_select_and_the_same_again_unselects():
    desk = RequestHandler()
    desk.keys("3")
    assert desk.person.selected == 3
    desk.keys("3")
    assert desk.person.selected is None
    desk.keys("2")
    assert desk.person.selected is None
    assert desk.line() == "there is no object 2"


def test_tab_goes_round_the_objects_and_escape_unselects():
    desk = RequestHandler((1, 3, 12))
    ids = []
    for _ in range(4):
        desk.keys("tab")
        ids.append(desk.person.selected)
    assert ids == [1, 3, 12, 1]
    desk.keys("escape")
    assert desk.person.selected is None
    RequestHandler(()).keys("tab")


@pytest.mark.parametrize("key", ["x", "X", "delete"])
def test_removing_takes_the_selected_object_and_unselects_it(key: str):
    desk = RequestHandler()
    desk.keys("3", key)
    assert desk.sent == [request("remove_object", object_id=3)]
    assert desk.person.selected is None
    desk.keys(key)
    assert len(desk.sent) == 1


def test_space_and_p_pause_and_resume_in_turn():
    desk = RequestHandler()
    desk.keys(" ", "p", " ")
    assert desk.sent == [request("pause"), request("resume"), request("pause")]


def test_a_pause_that_is_refused_did_not_happen():
    desk = RequestHandler()
    desk.keys(" ")
    desk.reply(error="not now")
    desk.keys(" ")
    assert desk.sent[-1] == request("pause")


def test_quitting_is_asked_for_once():
    desk = RequestHandler()
    desk.keys("s", "q", "q")
    desk.person.quit()
    assert desk.sent == [request("snapshot"), request("shutdown")]


def test_a_quit_that_is_refused_can_be_asked_for_again():
    desk = RequestHandler()
    desk.keys("q")
    desk.reply(error="not now")
    desk.keys("q")
    assert desk.sent == [request("shutdown")] * 2


def test_other_keys_do_nothing():
    desk = RequestHandler()
    desk.keys("w", "0", "\x00", "ÿ", "enter")
    assert desk.sent == []


def test_an_object_that_was_added_is_selected_before_it_is_seen():
    desk = RequestHandler()
    desk.click(100, 50)
    desk.reply({"object_id": 4})
    desk.person.take_frame((360, 640), (1, 3))
    assert desk.person.selected == 4
    desk.person.take_frame((360, 640), (1, 3, 4))
    assert desk.person.selected == 4


def test_an_object_that_is_gone_is_no_longer_selected():
    desk = RequestHandler()
    desk.click(100, 50)
    desk.reply({"object_id": 4})
    desk.person.take_frame((360, 640), (1, 3, 4))
    desk.person.take_frame((360, 640), (1, 3))
    assert desk.person.selected is None


def test_an_error_is_shown_for_three_seconds():
    desk = RequestHandler()
    before = desk.line()
    desk.click(100, 50)
    desk.reply(error="point 100,50 lies outside")
    assert desk.line() == "point 100,50 lies outside"
    desk.now += 2.9
    assert desk.line() == "point 100,50 lies outside"
    desk.now += 0.2
    assert desk.line() == before


def test_a_snapshot_tells_its_path():
    desk = RequestHandler()
    desk.keys("s")
    desk.reply({"path": "/tmp/snap.png"})
    assert desk.line() == "saved /tmp/snap.png"


def test_h_hides_the_help_line_but_not_the_messages():
    desk = RequestHandler()
    desk.keys("h")
    assert desk.line() == ""
    desk.keys("2")
    assert desk.line() == "there is no object 2"
    desk.now += 4
    assert desk.line() == ""
    desk.keys("h")
    assert "q: quit" in desk.line()


def test_the_help_line_tells_what_a_click_would_do_and_has_shorter_wordings():
    desk = RequestHandler()
    assert "click: new object" in desk.line()
    assert "space: pause" in desk.line()
    desk.keys("3", " ")
    assert "object 3" in desk.line()
    assert "space: resume" in desk.line()
    wordings = desk.person.help_lines()
    assert [len(w) for w in wordings] == sorted((len(w) for w in wordings), reverse=True)
