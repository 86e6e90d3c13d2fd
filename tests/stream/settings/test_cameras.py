from __future__ import annotations

import pytest

from stream.errors import ConfigError
from stream.settings.cameras import camera_configs, common_config, lay_over
from stream.settings.config import FleetConfig
from stream.settings.presets import build, load, parse_override, plain

FLEET = """
base: lite
tracker: {positive_points: 6}
supervisor: {journal: "{camera}.json"}
cameras:
  door: {capture: {source: 0}}
  front.hall:
    capture: {source: "rtsp://user:geheim99@10.0.0.7/cam"}
    decoder: {budget_ms: off}
  yard:
"""


@pytest.fixture
def fleet(tmp_path):
    """The config of a file, with overrides."""
    path = tmp_path / "fleet.yaml"

    def read(overrides=None, text=FLEET):
        path.write_text(text)
        return load(str(path), overrides)

    return read


def test_each_camera_lays_its_own_keys_over_the_rest_of_the_file(fleet):
    cameras = camera_configs(fleet())
    assert list(cameras) == ["door", "front.hall", "yard"]
    assert {name: own.capture.camera for name, own in cameras.items()} == {name: name for name in cameras}
    assert [own.capture.source for own in cameras.values()] == ["0", "rtsp://user:geheim99@10.0.0.7/cam", "demo"]
    assert {own.tracker.positive_points for own in cameras.values()} == {6}
    assert [own.decoder.budget_ms for own in cameras.values()] == ["auto", "off", "auto"]
    assert [own.supervisor.journal for own in cameras.values()] == ["door.json", "front.hall.json", "yard.json"]


def test_live_cameras_that_share_cores_look_at_smaller_windows_unless_the_config_says_otherwise(fleet):
    text = """
cameras:
  door: {capture: {source: "rtsp://10.0.0.7/cam"}}
  hall: {capture: {source: "rtsp://10.0.0.8/cam"}, decoder: {window_px: 30000}}
  file: {capture: {source: demo, realtime: false}}
"""
    assert [own.decoder.window_px for own in camera_configs(fleet(text=text)).values()] == [10_000, 30_000, "auto"]
    assert load("lite", {"capture.source": "rtsp://10.0.0.7/cam"}).decoder.window_px == "auto"


def test_a_config_without_cameras_is_that_of_its_one_camera():
    config = load("lite", {"capture.camera": "door"})
    assert camera_configs(config) == {"door": config}


def test_a_value_is_set_for_one_camera_whose_name_may_hold_dots(fleet):
    cameras = camera_configs(fleet(dict([parse_override("cameras.front.hall.tracker.horizon=5")])))
    assert [own.tracker.horizon for own in cameras.values()] == [8, 5, 8]


def test_a_camera_is_added_by_the_command_line(fleet):
    assert "gate" in camera_configs(fleet(dict([parse_override("cameras.gate.capture.source=demo")])))


def test_a_value_for_all_cameras_gives_way_to_a_cameras_own(fleet):
    cameras = camera_configs(fleet({"capture.source": "lavfi:testsrc2", "capture.frames": 9}))
    assert [own.capture.source for own in cameras.values()][::2] == ["0", "lavfi:testsrc2"]
    assert {own.capture.frames for own in cameras.values()} == {9}


def test_a_base_file_and_the_one_over_it_may_both_name_cameras():
    under = {"cameras": {"door": {"capture": {"source": "0", "realtime": True}}, "hall": {}}}
    over = {"cameras": {"door": {"capture": {"source": "1"}}, "yard": {}}}
    assert lay_over(under, over)["cameras"] == {
        "door": {"capture": {"source": "1", "realtime": True}},
        "hall": {},
        "yard": {},
    }


def test_a_config_that_is_written_out_reads_the_same(fleet):
    config = fleet()
    assert build(plain(config)) == config


def test_nodes_of_all_cameras_are_told_names_and_no_sources(fleet):
    config = common_config(fleet())
    assert isinstance(config, FleetConfig)
    assert list(config.cameras) == ["door", "front.hall", "yard"]
    assert "geheim99" not in str(plain(config))
    assert build(plain(config)) == config


def test_the_page_is_told_where_each_camera_is_recorded():
    plain_config = {"cameras": {"door": {"renderer": {"record": "/videos/"}}, "hall": {}}}
    cameras = camera_configs(common_config(build(plain_config)))
    assert [c.renderer.record for c in cameras.values()] == ["/videos/", ""]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("cameras.door.tracker.horizn", 5, r"^cameras.door.tracker.horizn: unknown key; did you mean 'horizon'"),
        ("cameras.door.trackr.horizon", 5, r"^cameras.door.trackr: unknown key; did you mean 'tracker'"),
        ("cameras.door.tracker.horizon", 99, r"^cameras.door.tracker.horizon is 99"),
        ("cameras.door.decoder.auto", 3, r"^cameras.door: --auto needs a SAM decoder"),
        ("cameras.door.publisher.endpoint", "tcp://127.0.0.1:5556", r"^cameras.door.publisher.endpoint: one for all"),
        ("cameras.door.control.endpoint", "tcp://127.0.0.1:5556", r"^cameras.door.control.endpoint: one for all"),
        ("cameras.door.web.endpoint", "127.0.0.1:8080", r"^cameras.door.web.endpoint: one for all cameras"),
        ("cameras.door.supervisor.threads", True, r"^cameras.door.supervisor.threads: one for all cameras"),
        ("cameras.door.capture.camera", "gate", r"^cameras.door.capture.camera is 'gate'; the camera is called door"),
        ("cameras.door.capture.source", "browser", r"^cameras.door.capture.source is browser; .* a run of its own"),
        ("cameras.door.capture", 7, r"^cameras.door.capture: needs keys with values, got 7"),
        ("supervisor.journal", "x.json", r"^cameras door and front.hall would both write supervisor.journal 'x.json'"),
        ("renderer.record", "x.mp4", r"would both write renderer.record 'x.mp4'; put \{camera\} into the path"),
        ("renderer.save_masks", "masks", r"would both write renderer.save_masks"),
        ("graph.run", ["tracker"], r"^graph.run, graph.endpoints and graph.host place the nodes of one camera"),
    ],
)
def test_what_a_camera_may_not_say_is_refused_with_its_key(fleet, key, value, message):
    with pytest.raises(ConfigError, match=message):
        fleet({key: value})


@pytest.mark.parametrize(
    ("cameras", "message"),
    [
        ("[door, hall]", "cameras: needs a name for each camera"),
        ("{}", "cameras: needs a name for each camera"),
        ("{front door: {}}", "cameras: 'front door' is no camera's name"),
        ("{..: {}}", "cameras: '..' is no camera's name"),
        ("{door: rtsp}", "cameras.door: needs sections with keys"),
    ],
)
def test_cameras_are_names_with_sections(fleet, cameras, message):
    with pytest.raises(ConfigError, match=message):
        fleet(text=f"base: lite\ncameras: {cameras}\n")


@pytest.mark.parametrize("key", ["door", "tracker"])
def test_a_key_that_stands_twice_is_refused(fleet, key):
    text = (
        "base: lite\ncameras:\n  door: {}\n  door: {}\n" if key == "door" else "tracker: {}\nbase: lite\ntracker: {}\n"
    )
    with pytest.raises(ConfigError, match=rf"'{key}' stands at line \d and again at line \d; leave one out"):
        fleet(text=text)
