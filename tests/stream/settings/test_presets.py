from __future__ import annotations

import re

import msgspec
import pytest

from stream.errors import ConfigError
from stream.settings.choices import words_of
from stream.settings.config import Config
from stream.settings.options import MASK_BACKENDS
from stream.settings.presets import CONFIG_DIR, build, load, parse_override, plain


def test_the_default_preset_holds_the_numbers_of_the_design():
    config = load("lite")
    assert (config.capture.open_timeout_s, config.capture.read_timeout_s) == (5, 2)
    assert (config.capture.backoff_s, config.capture.backoff_max_s, config.capture.backoff_jitter) == (0.5, 30, 0.2)
    assert (config.supervisor.heartbeat_s, config.supervisor.dead_after_s) == (1, 3)
    assert (config.supervisor.max_restarts, config.supervisor.restart_window_s) == (5, 60)
    assert (config.tracker.horizon, config.tracker.positive_points, config.tracker.negative_points) == (8, 8, 1)


@pytest.mark.parametrize("preset", sorted(p.stem for p in CONFIG_DIR.glob("*.yaml")))
def test_every_preset_loads_and_comes_back_from_plain_values(preset):
    config = load(preset)
    assert build(plain(config)) == config


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("tracker.horizn", 3, "did you mean 'horizon'"),
        ("trackr.horizon", 3, "did you mean 'tracker'"),
        ("tracker.horizon", "abc", "tracker.horizon is 'abc'; needs a whole number from 2 to 64"),
        ("tracker.horizon", 1, "tracker.horizon is 1; needs a whole number from 2 to 64"),
        (
            "tracker.backend",
            "pipz",
            "tracker.backend is 'pipz'; needs lucas_kanade, pips, raft, tapnet, superglue or lightglue",
        ),
        ("graph.processes", "two", "graph.processes is 'two'; needs node, camera, device or auto"),
        ("decoder.budget_ms", -3, "decoder.budget_ms is -3; needs auto, off or a number above 0"),
        ("decoder.check_masks", 1, "decoder.check_masks is 1; needs auto, true or false"),
        ("capture.camera", "a/b", "capture.camera is 'a/b'; needs 1 to 64 characters out of"),
        ("tracker.device", "gpu", "tracker.device is 'gpu'; needs auto, cpu, cuda or cuda:NUMBER"),
        ("tracker.size", "big", "tracker.size is 'big'; needs HEIGHTxWIDTH or native"),
        ("capture.backoff_s", 60, "backoff_max_s"),
        ("capture.demo_size", "8x8", "64x64 or more"),
        ("capture.source", "ftp://user:secret@host/x", "unknown scheme 'ftp'"),
        ("publisher.endpoint", "nonsense", "tcp://HOST:PORT"),
        ("publisher.endpoint", "tcp://127.0.0.1", "needs a port"),
        ("publisher.endpoint", "tcp://*:5556", "--insecure"),
        ("control.endpoint", "ipc:///" + "x" * 200, "at most 107"),
        ("log.format", "xml", "log.format"),
        ("capture.source", "rtsp://user:se cret@host/x", "%20"),
    ],
)
def test_a_wrong_value_is_one_readable_error(key, value, words):
    with pytest.raises(ConfigError) as error:
        load("lite", {key: value})
    assert words in str(error.value)
    assert "secret" not in str(error.value)
    assert error.value.exit_code == 2


KEYS_WITH_WORDS = {
    f"{section.name}.{key.name}": words
    for section in msgspec.structs.fields(Config)
    for key in msgspec.structs.fields(section.type)
    if (words := words_of(key.type))
}


@pytest.mark.parametrize("key", KEYS_WITH_WORDS)
@pytest.mark.parametrize("wrong", ["none-of-them", "3e3", "[1]", "null"])
def test_a_wrong_word_is_answered_with_all_that_are_right(key, wrong):
    if key == "decoder.budget_ms" and wrong == "3e3":
        wrong = "-3"
    with pytest.raises(ConfigError) as error:
        load("lite", dict([parse_override(f"{key}={wrong}")]))
    message = str(error.value)
    assert message.startswith(f"{key} is ")
    assert set(KEYS_WITH_WORDS[key]) <= set(re.findall(r"\w+", message.partition("; needs ")[2]))


@pytest.mark.parametrize(("key", "word"), [(key, word) for key, words in KEYS_WITH_WORDS.items() for word in words])
def test_each_right_word_is_taken_as_it_is_written_though_yaml_reads_off_as_false(tmp_path, key, word):
    section, name = key.split(".")
    path = tmp_path / "mine.yaml"
    path.write_text(f"base: lite\n{section}:\n  {name}: {word}\n")
    models = MASK_BACKENDS[word].models if key == "decoder.backend" else ()
    beside = {"decoder.model": models[0]} if models else {}
    for config in (load("lite", dict([parse_override(f"{key}={word}")]) | beside), load(str(path), beside)):
        assert getattr(getattr(config, section), name) == word


@pytest.mark.parametrize("backend", [name for name, facts in MASK_BACKENDS.items() if facts.models])
def test_a_network_that_a_mask_model_does_not_have_is_answered_with_those_that_it_has(backend):
    models = MASK_BACKENDS[backend].models
    wrong = next(m for m in ("vit_tiny", "base_plus") if m not in models)
    with pytest.raises(ConfigError) as error:
        load("lite", {"decoder.backend": backend, "decoder.model": wrong})
    assert f"decoder.model is {wrong}" in str(error.value)
    assert str(error.value).endswith(f"{backend} does not have; give {' | '.join(models)}")


def test_an_unknown_preset_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'lite'"):
        load("lit")


def test_a_file_of_the_user_lies_over_its_base(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("base: lite\ntracker: {horizon: 4}\n")
    config = load(str(path))
    assert (config.tracker.horizon, config.tracker.positive_points) == (4, 8)


@pytest.mark.parametrize("text", ["- 1\n", "a: [", "tracker: 3\n", "\0", "base: lite\ntracker: []\n"])
def test_a_file_that_is_no_config_is_one_readable_error(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        load(str(path))


def test_a_base_that_leads_back_to_itself_is_refused(tmp_path):
    path = tmp_path / "loop.yaml"
    path.write_text(f"base: {path}\n")
    with pytest.raises(ConfigError, match="leads back"):
        load(str(path))


def test_overrides_are_read_as_yaml():
    assert parse_override("a.b=3") == ("a.b", 3)
    assert parse_override("graph.run=[capture, tracker]") == ("graph.run", ["capture", "tracker"])
    for wrong in ("a", "a=3", "a.b", "a.b={"):
        with pytest.raises(ConfigError):
            parse_override(wrong)


def test_what_others_could_reach_needs_keys_or_consent():
    open_to_all = {"publisher.endpoint": "tcp://0.0.0.0:5556"}
    assert load("lite", {**open_to_all, "graph.insecure": True}).graph.insecure
    assert load("lite", {**open_to_all, "graph.keys": "keys"}).graph.keys == "keys"


def test_a_feed_is_live_when_it_can_not_be_waited_for():
    assert not Config().live
    assert load("lite", {"capture.source": "rtsp://h/x"}).live
    assert load("lite", {"capture.realtime": True}).live


@pytest.mark.parametrize(
    ("text", "source", "camera"),
    [
        ("source: 0\n  camera: 1", "0", "1"),
        ("source: 007\n  camera: 1e3", "007", "1e3"),
        ("source: 2\n  camera: true", "2", "true"),
    ],
)
def test_a_number_stands_for_text_where_text_is_needed_as_it_was_written(tmp_path, text, source, camera):
    path = tmp_path / "mine.yaml"
    path.write_text(f"base: lite\ncapture:\n  {text}\n")
    config = load(str(path))
    assert (config.capture.source, config.capture.camera) == (source, camera)


def test_overrides_take_numbers_for_text_too():
    assert load("lite", dict([parse_override("capture.source=0")])).capture.source == "0"
    assert load("lite", dict([parse_override("tracker.horizon=4")])).tracker.horizon == 4
