"""Which runs may be placed on a cluster, and what their graphs are then."""

from __future__ import annotations

import importlib.metadata
import importlib.util

import pytest
from fleet_fakes import Fleet

from stream.commands import SetCameras
from stream.console.cluster_checks import check_cluster
from stream.console.start_checks import check_camera
from stream.errors import ConfigError
from stream.reports import Bound
from stream.settings.presets import build
from stream.supervision.fleet.making import with_own_endpoints
from stream.supervision.fleet.node_sockets import NodeSockets
from stream.topology import common_wiring, wiring
from stream.transport.sockets import Context, Poller

OUTSIDE = "tcp://127.0.0.1:0"


@pytest.fixture
def ray_there(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.60.0")


def fleet(graph=None, placement=None, **sections):
    camera = {"placement": placement} if placement else {}
    return build({"graph": {"engine": "ray", **(graph or {})}, **sections, "cameras": {"door": camera}})


@pytest.mark.usefixtures("ray_there")
@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"graph": {"processes": "device"}}, "graph.processes is device; with graph.engine ray each camera has one"),
        ({"graph": {"cluster": "head"}}, "graph.cluster is 'head'; needs HOST:PORT of the cluster's head, or auto"),
        ({"supervisor": {"threads": True}}, "--threads keeps all nodes in one process"),
        ({"renderer": {"window": True}}, "cameras.door.renderer.window: a camera on another host has no window here"),
        (
            {"placement": {"resources": {"camera-net-a": 0}}},
            "cameras.door.placement.resources.camera-net-a is 0; needs a number above 0",
        ),
    ],
)
def test_what_can_not_be_placed_is_refused_in_one_sentence(sections, message):
    with pytest.raises(ConfigError, match=message):
        check_cluster(fleet(**sections))


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"placement": {"cpus": 0}}, "placement.cpus is 0; needs a number above 0"),
        ({"placement": {"resources": ["net"]}}, "needs names with numbers, such as {a: 1}"),
        ({"graph": {"address": "192.168.1.10"}}, "graph.address is tcp://192.168.1.10:0, which other machines can"),
        ({"graph": {"address": "control-room"}}, "'control-room' is no address in numbers"),
    ],
)
def test_wrong_values_are_refused_with_what_is_needed(sections, message):
    with pytest.raises(ConfigError) as caught:
        fleet(**sections)
    assert message in str(caught.value)


@pytest.mark.usefixtures("ray_there")
def test_a_run_of_one_camera_is_not_placed():
    with pytest.raises(ConfigError, match="places the cameras of a config with `cameras:`"):
        check_cluster(build({"graph": {"engine": "ray"}}))
    check_cluster(fleet())
    check_cluster(build({}))


def test_without_ray_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"Ray is not installed; pip install -r requirements-ray\.txt"):
        check_cluster(fleet())


def test_a_ray_that_is_too_old_is_named(monkeypatch, ray_there):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "2.9.3")
    with pytest.raises(ConfigError, match=r"Ray 2\.9\.3 is installed; needs 2\.54 or newer"):
        check_cluster(fleet())


def test_files_and_devices_are_those_of_the_other_host(tmp_path):
    gone = str(tmp_path / "clip.mp4")
    config = build({"graph": {"engine": "ray"}, "capture": {"source": gone}, "tracker": {"device": "cuda:7"}})
    check_camera(config)


def test_the_supervisor_binds_what_nodes_connect_to_and_they_bind_what_it_reads():
    graph = wiring(fleet().cameras["door"], in_fleet=True)
    assert graph.endpoints == {"commands": OUTSIDE, "reports": OUTSIDE}
    assert graph.outside == {"masks": OUTSIDE, "publish": OUTSIDE}
    assert list(graph.processes()) == ["door"]
    assert common_wiring(fleet()).endpoints == {}
    assert wiring(build({}), in_fleet=True).outside == {}


def test_nodes_are_told_the_ports_that_were_bound(tmp_path):
    config = fleet(graph={"keys": ""}).cameras["door"]
    context, graph = Context(), wiring(config, in_fleet=True)
    sockets = NodeSockets(context, graph, f"ipc://{tmp_path}/", Poller())
    told = with_own_endpoints(config, sockets)
    assert set(told.graph.endpoints) == {"commands", "reports"}
    assert all(e.startswith("tcp://127.0.0.1:") and not e.endswith(":0") for e in told.graph.endpoints.values())
    assert wiring(told, in_fleet=True).endpoints == told.graph.endpoints
    assert sockets.take_masks() is None
    sockets.take_masks_from("tcp://127.0.0.1:9")
    sockets.take_masks_from("tcp://127.0.0.1:19")  # of a decoder that was restarted elsewhere
    sockets.close()
    context.close()


def test_the_proxy_is_told_where_a_camera_publishes_and_when_that_moves():
    under = Fleet("door", "hall", graph={"engine": "ray"})
    sockets = under.maker.sockets["door"]
    masks_from = []
    sockets.take_masks_from = masks_from.append
    under.maker.sockets[""].sent.clear()
    under.cameras.common.nodes["proxy"].loaded = True
    for port in (40001, 40002):
        sockets.reports.append(Bound(node="decoder", pid=1, topic="masks", endpoint=f"tcp://192.168.1.11:{port}"))
        sockets.reports.append(Bound(node="publisher", pid=1, endpoint=f"tcp://192.168.1.11:{port + 10}"))
        under.rounds(2)
    told = [command.endpoints["door"] for command in under.sent("", SetCameras)]
    assert told == ["tcp://192.168.1.11:40011", "tcp://192.168.1.11:40012"]
    assert masks_from == ["tcp://192.168.1.11:40001", "tcp://192.168.1.11:40002"]


def test_a_process_that_waits_for_a_place_is_not_late():
    under = Fleet("door", "hall")
    door = under.running("door")
    door.placed = False
    under.now_s += 1000.0
    under.rounds(2)
    assert door.calls == []
    door.placed = True
    under.now_s += 1000.0
    under.rounds(1)
    assert door.calls == ["kill"]
