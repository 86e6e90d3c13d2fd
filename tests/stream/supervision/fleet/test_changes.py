from __future__ import annotations

import pytest

from stream.errors import ConfigError
from stream.settings.presets import build, load
from stream.supervision.fleet.changes import changed_stages, check_changes
from stream.topology import wiring

CAMERA = {"capture.source": "rtsp://10.0.0.7/cam"}


def changed(**keys):
    before = load("lite", CAMERA)
    after = load("lite", {**CAMERA, **{key.replace("__", "."): value for key, value in keys.items()}})
    check_changes(before, after)
    return changed_stages((before, wiring(before)), (after, wiring(after)))


@pytest.mark.parametrize(
    ("keys", "stages"),
    [
        ({}, set()),
        ({"tracker__positive_points": 9}, {"tracker"}),
        ({"tracker__horizon": 6}, {"tracker", "decoder"}),
        ({"decoder__lost_after_frames": 3}, {"decoder"}),
        ({"capture__read_timeout_s": 9.0}, {"capture"}),
        ({"renderer__trail": 3}, {"renderer"}),
        ({"renderer__record": "x.mp4"}, {"renderer", "decoder"}),  # which has to wait for it from now on
        ({"publisher__codec": "png"}, {"publisher"}),
        ({"publisher__frames": True}, {"publisher", "capture"}),  # a new reader
        ({"control__max_objects": 3}, set()),
        ({"supervisor__max_restarts": 3}, set()),
    ],
)
def test_the_nodes_whose_config_has_changed_are_restarted_and_no_others(keys, stages):
    assert changed(**keys) == stages


def test_another_kind_of_feed_restarts_every_node():
    assert changed(capture__source="lavfi:testsrc2") == {"capture", "tracker", "decoder", "renderer", "publisher"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("graph__processes", "node"),
        ("log__level", "debug"),
        ("control__endpoint", "tcp://127.0.0.1:5557"),
        ("publisher__endpoint", "tcp://127.0.0.1:5556"),
        ("supervisor__journal", "x.json"),
    ],
)
def test_what_cannot_change_is_refused_by_its_key(key, value):
    with pytest.raises(ConfigError, match=f"^{key.replace('__', '.')} can't change while the run goes on"):
        changed(**{key: value})


@pytest.mark.parametrize(
    ("key", "keys"),
    [
        ("web.endpoint", {"web__endpoint": "127.0.0.1:0"}),
        ("mqtt.url", {"mqtt__url": "mqtt://127.0.0.1"}),
        ("webhooks.urls", {"webhooks__urls": ["http://127.0.0.1/hook"], "webhooks__secret": "0123456789abcdef"}),
    ],
)
def test_a_page_a_broker_and_webhooks_neither_come_nor_go(key, keys):
    with pytest.raises(ConfigError, match=rf"^{key} can't come or go"):
        changed(**keys)


def test_one_camera_stays_one_camera():
    one = load("lite")
    with pytest.raises(ConfigError, match="a run of one camera can't become a run of several"):
        check_changes(one, build({"cameras": {"door": {}}, "publisher": {"endpoint": "tcp://127.0.0.1:5556"}}))
    with pytest.raises(ConfigError, match="a run of several cameras can't become a run of one"):
        check_changes(build({"cameras": {"door": {}}}), one)
