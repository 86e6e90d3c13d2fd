"""Who talks to whom, by config alone."""

from __future__ import annotations

import pytest

from stream.errors import ConfigError
from stream.settings.presets import build, load
from stream.topology import OPTIONAL, STAGES, TOPICS, Delivery, common_wiring, wiring


def graph(preset="lite", **keys):
    return wiring(load(preset, {key.replace("__", "."): value for key, value in keys.items()}))


def reads(node, **keys):
    return {e.topic: e.delivery.value for e in graph(**keys).inputs(node) if e.topic != "commands"}


LIVE, FILE, SINK = {"capture__realtime": True}, {}, {"renderer__save_masks": "out"}


@pytest.mark.parametrize(
    ("node", "live", "file"),
    [
        ("capture", {}, {}),
        ("tracker", {"seeds": "every", "frames": "newest"}, {"seeds": "every", "frames": "lossless"}),
        ("decoder", {"tracks": "paced"}, {"tracks": "lossless"}),
        ("renderer", {"scenes": "every"}, {"scenes": "lossless"}),
        ("publisher", {"masks": "every"}, {"masks": "lossless"}),
        ("supervisor", {"masks": "newest"}, {"masks": "newest"}),
    ],
)
def test_a_file_is_lossless_along_the_chain_and_a_live_feed_is_fresh(node, live, file):
    assert reads(node, **LIVE, **SINK) == live
    assert reads(node, **FILE, **SINK) == file


@pytest.mark.parametrize("feed", [LIVE, FILE])
def test_a_renderer_without_sinks_reads_the_newest_scene_when_it_wants_one_and_ends_no_run(feed):
    assert reads("renderer", **feed) == {"scenes": "newest"}
    assert graph(**feed).sinks == ("publisher",)
    assert graph(**feed, **SINK).sinks == ("renderer", "publisher")


@pytest.mark.parametrize("feed", [LIVE, FILE])
def test_pictures_go_to_the_publisher_only_where_it_publishes_them(feed):
    assert "frames" not in reads("publisher", **feed)
    assert reads("publisher", **feed, publisher__frames=True)["frames"] == "newest"
    assert [e.reader for e in graph(**feed).outputs("capture")["frames"]] == ["tracker"]


def test_every_topic_has_one_writer_except_those_that_fan_in():
    from_page = {"capture__source": "browser", "web__endpoint": "127.0.0.1:0"}
    edges = graph(publisher__frames=True, **from_page).edges
    for name, topic in TOPICS.items():
        writers = {e.writer for e in edges if e.topic == name}
        readers = {e.reader for e in edges if e.topic == name}
        assert (len(writers) == 1) is not topic.fan_in, name
        assert not topic.fan_in or readers == {"supervisor"}


def test_every_kind_of_message_belongs_to_one_topic():
    kinds = [kind for topic in TOPICS.values() for kind in topic.kinds]
    assert len(kinds) == len(set(kinds))
    assert len({kind.schema for kind in kinds}) == len(kinds)


def test_only_one_message_waits_where_the_freshest_is_wanted():
    depths = {(e.reader, e.topic): e.depth for e in graph(**LIVE, **SINK).edges}
    assert depths["tracker", "frames"] == depths["decoder", "tracks"] == depths["supervisor", "masks"] == 1
    assert depths["renderer", "scenes"] == depths["publisher", "masks"] == 8
    assert {e.delivery for e in graph(**LIVE).inputs("decoder")} == {Delivery.EVERY, Delivery.PACED}


ALWAYS = tuple(stage for stage in STAGES if stage not in OPTIONAL)


@pytest.mark.parametrize(
    ("keys", "processes"),
    [
        ({}, {stage: (stage,) for stage in ALWAYS}),
        ({"graph__processes": "node"}, {stage: (stage,) for stage in ALWAYS}),
        ({"graph__processes": "camera", "capture__camera": "door"}, {"door": ALWAYS}),
        ({"supervisor__threads": True}, {"supervisor": ALWAYS}),
        ({"graph__run": ["decoder"], "graph__host": False}, {"decoder": ("decoder",)}),
        (
            {"graph__run": ["tracker", "decoder"], "graph__processes": "camera", "capture__camera": "door"},
            {"door": ("tracker", "decoder")},
        ),
    ],
)
def test_processes_are_groups_of_this_hosts_nodes(keys, processes):
    assert graph(**keys).processes() == processes


def test_a_node_or_topic_that_there_is_not_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match=r"graph.run: no node 'trackr'; did you mean 'tracker'"):
        graph(graph__run=["trackr"])
    with pytest.raises(ConfigError, match=r"graph.endpoints: no topic 'frame'; did you mean 'frames'"):
        graph(graph__endpoints={"frame": "tcp://127.0.0.1:5000"})


def test_a_topic_between_two_hosts_needs_an_address():
    endpoints = {t: f"tcp://127.0.0.1:{7000 + i}" for i, t in enumerate(TOPICS)}
    graph(graph__run=["tracker", "decoder"], graph__host=False, graph__endpoints=endpoints).check()
    for topic in ("frames", "tracks", "reports"):
        fewer = {t: e for t, e in endpoints.items() if t != topic}
        with pytest.raises(ConfigError, match=f"graph.endpoints.{topic} is not set: tracker here and"):
            graph(graph__run=["tracker"], graph__host=False, graph__endpoints=fewer).check()
    within = {t: e for t, e in endpoints.items() if t != "tracks"}  # both of its ends are here
    graph(graph__run=["tracker", "decoder"], graph__host=False, graph__endpoints=within).check()


def test_an_endpoint_of_the_config_moves_a_topic_off_the_run_folder():
    moved = graph(graph__endpoints={"masks": "tcp://127.0.0.1:7006"})
    assert moved.endpoint("masks", "ipc:///run/") == "tcp://127.0.0.1:7006"
    assert moved.endpoint("frames", "ipc:///run/") == "ipc:///run/frames"


ASKED_FOR = {
    "web": {"web__endpoint": "127.0.0.1:0"},
    "mqtt": {"mqtt__url": "mqtt://127.0.0.1"},
    "webhooks": {"webhooks__urls": ["http://127.0.0.1/hook"], "webhooks__secret": "0123456789abcdef"},
}


@pytest.mark.parametrize("stage", ASKED_FOR)
def test_a_node_that_listens_is_there_where_it_is_asked_for_and_reads_nothing_of_the_feed(stage):
    assert stage not in graph().nodes
    made = graph(**ASKED_FOR[stage])
    assert made.supervised == (*ALWAYS, stage)
    assert [edge.topic for edge in made.inputs(stage)] == ["commands"]


def test_a_run_of_several_cameras_has_each_of_them_once():
    keys = {key.replace("__", "."): value for keys in ASKED_FOR.values() for key, value in keys.items()}
    tree = {}
    for key, value in keys.items():
        section, name = key.split(".")
        tree.setdefault(section, {})[name] = value
    fleet = build({**tree, "cameras": {"door": {}, "hall": {}}})
    assert common_wiring(fleet).supervised == ("proxy", *ASKED_FOR)
    assert wiring(fleet.cameras["door"], in_fleet=True).supervised == ALWAYS


def test_pictures_go_to_the_publisher_where_a_broker_is_to_have_some():
    broker = ASKED_FOR["mqtt"]
    assert "scenes" not in reads("publisher", **broker)
    assert reads("publisher", **broker, mqtt__snapshot_s=5.0)["scenes"] == "newest"
