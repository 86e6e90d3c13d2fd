"""What each viewer is sent: the newest, and never more than two that it has not acknowledged."""

from __future__ import annotations

import json

from web.served import scene_parts

from nodes.web.scene_message import WebScene
from nodes.web.viewers import MAX_TEXTS, Viewer, Viewers


def scene(frame_id, camera="door"):
    return WebScene(scene_parts(frame_id, camera=camera))


def taken(viewer):
    """The frame ids that wait to be sent, taken as the writer takes them."""
    ids = [s.header.frame_id for s in viewer.to_send]
    viewer.to_send.clear()
    return ids


def test_two_scenes_go_out_and_of_those_that_come_until_an_acknowledgement_the_newest():
    viewer = Viewer("viewer", camera="door")
    for frame_id in range(6):
        viewer.offer(scene(frame_id))
    assert taken(viewer) == [0, 1]
    assert viewer.dropped == 3
    viewer.acknowledge()
    assert taken(viewer) == [5]
    viewer.acknowledge()
    assert taken(viewer) == []
    viewer.offer(scene(6))
    assert taken(viewer) == [6]


def test_acknowledgements_of_nothing_make_no_room_for_more_than_two():
    viewer = Viewer("viewer", camera="door")
    for _ in range(9):
        viewer.acknowledge()
    for frame_id in range(9):
        viewer.offer(scene(frame_id))
    assert taken(viewer) == [0, 1]


def test_who_looks_elsewhere_gets_nothing_of_what_waited():
    viewer = Viewer("viewer", camera="door")
    for frame_id in range(4):
        viewer.offer(scene(frame_id))
    viewer.look("hall", None)
    assert taken(viewer) == []
    for frame_id in range(2):
        viewer.offer(scene(frame_id, "hall"))
    assert taken(viewer) == [0, 1]


def test_a_slow_viewer_costs_another_one_nothing():
    viewers = Viewers(8)
    slow, fast = Viewer("viewer", camera="door"), Viewer("viewer", camera="door")
    viewers.add(slow)
    viewers.add(fast)
    got = []
    for frame_id in range(50):
        viewers.offer(scene(frame_id))
        got += taken(fast)
        fast.acknowledge()
    assert got == list(range(50))
    assert (len(slow.to_send), slow.dropped, fast.dropped) == (2, 47, 0)


def test_there_is_room_for_so_many_and_the_counts_of_those_that_left_stay():
    viewers = Viewers(2)
    first, second, third = (Viewer("viewer", camera="door") for _ in range(3))
    assert [viewers.add(v) for v in (first, second, third)] == [True, True, False]
    first.sent, first.dropped = 5, 3
    viewers.remove(first)
    assert viewers.add(third)
    assert viewers.totals() == (5, 3)
    assert viewers.looked_at() == {"door"}


def test_one_that_takes_no_messages_is_marked_to_be_closed():
    viewer = Viewer("viewer")
    for _ in range(MAX_TEXTS):
        viewer.say("{}")
    assert not viewer.overflowed
    viewer.say("{}")
    assert viewer.overflowed
    assert len(viewer.texts) == MAX_TEXTS


def test_a_smaller_picture_is_made_once_for_all_who_ask_for_its_width():
    calls = []

    def rescale(jpeg, size, width):
        calls.append(width)
        return b"small", width, width * 9 // 16

    big = WebScene(scene_parts(1, size=(720, 1280)))
    assert [big.width_for(w) for w in (None, 2000, 1280, 1279, 700, 320, 100)] == [1280, 1280, 1280, 960, 640, 320, 160]
    assert big.packed(640, rescale) == big.packed(640, rescale)
    big.packed(1280, rescale)
    assert calls == [640]


def test_of_the_grid_the_newest_of_each_camera_waits_in_turn():
    viewer = Viewer("viewer")
    viewer.look(None, 320, grid=True)
    for frame_id in range(4):
        for camera in ("door", "hall", "yard"):
            viewer.offer(scene(frame_id, camera))
    assert [(s.camera, s.header.frame_id) for s in viewer.to_send] == [("door", 0), ("hall", 0)]
    viewer.to_send.clear()
    for _ in range(3):
        viewer.acknowledge()
    assert [(s.camera, s.header.frame_id) for s in viewer.to_send] == [("yard", 3), ("door", 3), ("hall", 3)]


def test_only_pictures_for_the_grid_go_to_it():
    viewers = Viewers(8)
    alone, grid = Viewer("viewer", camera="door"), Viewer("viewer", grid=True)
    viewers.add(alone)
    viewers.add(grid)
    assert viewers.offer(scene(1)) == [alone]
    assert viewers.offer(scene(2), for_grid=True) == [alone, grid]
    assert viewers.at_grid == [grid]


def test_events_that_wait_for_a_slow_page_are_one_message_and_the_newest_hundred():
    viewer = Viewer("viewer", camera="door", takes_events=True)
    for number in range(300):
        viewer.report("door", [{"kind": "enter", "number": number}], {"zones": {"yard": number}, "lines": {}})
    told = json.loads(viewer.take_news())
    assert [event["number"] for event in told["events"]] == list(range(200, 300))
    assert (told["type"], told["camera"], told["zones"]) == ("events", "door", {"yard": 299})
    assert viewer.take_news() == ""


def test_what_draws_pictures_only_is_told_of_no_events():
    viewer = Viewer("viewer", camera="door")
    viewer.report("door", [{"kind": "enter"}], {})
    assert viewer.take_news() == ""
