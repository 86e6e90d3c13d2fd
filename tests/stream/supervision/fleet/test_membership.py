from __future__ import annotations

import pytest
from fleet_fakes import Fleet, make_config
from msgspec import structs

from stream.commands import SetCameras
from stream.errors import ConfigError, ControlError
from stream.reports import Hello
from stream.settings.config import Control
from stream.supervision.actions import Outbox
from stream.supervision.control import RequestHandler
from stream.transport.wire import from_json, to_json


@pytest.fixture
def fleet():
    fleet = Fleet("door", "hall")
    fleet.maker.sockets[""].reports.append(Hello(node="proxy", pid=1, incarnation=b"12345678"))
    fleet.rounds(1)
    return fleet


def names(fleet):
    return list(fleet.membership.cameras)


def refused(code, call, *arguments):
    with pytest.raises(ControlError) as error:
        call(*arguments)
    assert error.value.code == code
    return str(error.value)


def test_a_camera_is_added_with_what_it_lays_over_the_rest(fleet):
    assert fleet.membership.add_camera("yard", {"tracker": {"horizon": 5}}) == {"camera": "yard"}
    assert names(fleet) == ["door", "hall", "yard"]
    assert fleet.running("yard").config.tracker.horizon == 5
    assert fleet.checked == ["yard"]
    assert list(fleet.sent("", SetCameras)[-1].endpoints) == ["door", "hall", "yard"]


def test_a_camera_that_is_removed_ends_and_can_come_back(fleet):
    before = fleet.running("hall")
    fleet.membership.remove_camera("hall")
    assert names(fleet) == ["door"]
    assert list(fleet.sent("", SetCameras)[-1].endpoints) == ["door"]
    assert refused("busy", fleet.membership.add_camera, "hall", None)
    fleet.rounds()
    assert before.calls == ["close"]
    assert fleet.maker.sockets["hall"].closed
    fleet.membership.add_camera("hall", None)
    assert fleet.running("hall") is not before


@pytest.mark.parametrize(
    ("method", "arguments", "code", "words"),
    [
        ("add_camera", ("door", {}), "camera_exists", "there is a camera 'door' already"),
        ("add_camera", ("yard", {"trackr": {}}), "bad_config", "cameras.yard.trackr: unknown key"),
        ("add_camera", ("front door", {}), "bad_config", "'front door' is no camera's name"),
        ("add_camera", ("yard", {"renderer": {"record": "/x.mp4"}}), "bad_config", "can't say where files are written"),
        ("add_camera", ("yard", {"supervisor": {"journal": "/x"}}), "bad_config", "can't say where files are written"),
        ("add_camera", ("yard", {"publisher": {"endpoint": "ipc:///x"}}), "bad_config", "one for all cameras"),
        ("remove_camera", ("yard",), "unknown_camera", "there are: door, hall"),
    ],
)
def test_what_cannot_be_done_changes_nothing(fleet, method, arguments, code, words):
    assert words in refused(code, getattr(fleet.membership, method), *arguments)
    assert names(fleet) == ["door", "hall"]
    assert len(fleet.maker.launched) == 3


def test_requests_add_no_more_cameras_than_may_be_those_that_still_end_among_them(fleet, monkeypatch):
    limited = structs.replace(fleet.cameras.config, control=Control(max_cameras=2))
    monkeypatch.setattr(fleet.cameras, "config", limited)
    assert "may add up to 2" in refused("too_many_cameras", fleet.membership.add_camera, "yard", {})
    fleet.membership.remove_camera("hall")
    refused("too_many_cameras", fleet.membership.add_camera, "yard", {})
    fleet.rounds()
    fleet.membership.add_camera("yard", {})
    assert names(fleet) == ["door", "yard"]


def test_the_last_camera_stays(fleet):
    fleet.membership.remove_camera("hall")
    assert "`shutdown` ends the run" in refused("last_camera", fleet.membership.remove_camera, "door")


def test_a_reload_adds_removes_and_restarts_what_has_changed(fleet):
    fleet.read = make_config(cameras={"door": {"tracker": {"positive_points": 9}}, "yard": {}})
    assert fleet.membership.reload() == {"added": ["yard"], "removed": ["hall"], "restarted": {"door": ["tracker"]}}
    assert names(fleet) == ["door", "yard"]
    assert fleet.running("door").plans == [["tracker"]]  # within its process
    assert fleet.running("door").code is None
    assert fleet.membership.reload() == {"added": [], "removed": [], "restarted": {}}


def test_a_process_whose_nodes_have_all_changed_is_started_again():
    fleet = Fleet("door", "hall", graph={"processes": "node"})
    before = fleet.running("door/tracker")
    fleet.read = make_config(
        cameras={"door": {"tracker": {"positive_points": 9}}, "hall": {}}, graph={"processes": "node"}
    )
    assert fleet.membership.reload()["restarted"] == {"door": ["tracker"]}
    fleet.rounds()
    after = fleet.running("door/tracker")
    assert after is not before
    assert after.config.tracker.positive_points == 9
    nodes = fleet.cameras.summary()["cameras"]["door"]["nodes"]
    assert nodes["tracker"]["restarts"] == 0  # nothing was wrong with it


@pytest.mark.parametrize(
    "read",
    [
        ConfigError("--config fleet.yaml: no YAML at line 3"),
        make_config("door", "hall", "yard", graph={"processes": "node"}),
        make_config("door", "hall", "yard", publisher={"endpoint": "tcp://127.0.0.1:5556"}),
    ],
)
def test_a_bad_file_is_refused_and_the_run_goes_on_as_it_was(fleet, read):
    fleet.read = read
    refused("bad_config", fleet.membership.reload)
    assert names(fleet) == ["door", "hall"]
    assert len(fleet.maker.launched) == 3


def test_what_requests_have_changed_outlives_a_reload(fleet):
    fleet.membership.add_camera("yard", {"tracker": {"horizon": 5}})
    fleet.membership.remove_camera("hall")
    fleet.rounds()
    fleet.read = make_config("door", "hall", "gate")
    assert fleet.membership.reload() == {"added": ["gate"], "removed": [], "restarted": {}}
    assert names(fleet) == ["door", "yard", "gate"]


def test_a_camera_of_the_file_counts_before_one_that_was_added(fleet):
    fleet.membership.add_camera("yard", {"tracker": {"horizon": 5}})
    fleet.read = make_config("door", "hall", "yard")
    assert fleet.membership.reload()["restarted"] == {"yard": ["decoder", "tracker"]}


# --- requests ---


@pytest.fixture
def ask(fleet):
    outbox = Outbox()
    handler = RequestHandler(fleet.membership, outbox, fleet.read.control)

    def ask(method, **params):
        handler.serve((b"client",), [to_json({"id": 1, "method": method, "params": params})], 0.0)
        for camera in fleet.membership.cameras.values():
            camera.act()  # its own replies go to its clients
        replies = [from_json(action.body) for action in outbox.take()]
        (reply,) = replies
        return reply.get("result", reply.get("error"))

    return ask


def test_requests_name_their_camera(ask):
    assert ask("list_objects", camera="door") == {"objects": []}
    assert ask("list_objects")["code"] == "which_camera"
    assert ask("list_objects", camera="yard") == {
        "code": "unknown_camera",
        "message": "no camera 'yard'; there are: door, hall",
    }
    assert ask("list_objects", camera=7)["code"] == "bad_params"
    assert ask("pause", camera="hall") == {"paused": True}


def test_stats_are_of_one_camera_or_of_all(ask):
    assert set(ask("stats")["cameras"]) == {"door", "hall"}
    assert ask("stats", camera="door")["state"] == "starting"


def test_cameras_are_listed_with_their_states(ask):
    listed = ask("list_cameras")
    assert listed["cameras"] == ["door", "hall"]
    assert listed["states"]["hall"]["state"] == "starting"


def test_cameras_are_added_and_removed_by_request(ask, fleet):
    assert ask("add_camera", camera="yard", config={"capture": {"source": "demo"}}) == {"camera": "yard"}
    assert ask("add_camera", camera="yard")["code"] == "camera_exists"
    assert ask("add_camera", camera="gate", config=[])["code"] == "bad_params"
    assert ask("remove_camera", camera="yard") == {"camera": "yard"}
    assert ask("remove_camera")["code"] == "bad_params"
    assert ask("reload") == {"added": [], "removed": [], "restarted": {}}
    assert ask("shutdown") == {}
    assert fleet.cameras.stop_requested
