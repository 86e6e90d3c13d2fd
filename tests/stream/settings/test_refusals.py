"""What a bad value of any key is answered with: the key, what came, and what is needed, in words and on one line."""

from __future__ import annotations

import math

import msgspec
import pytest

from stream.errors import ConfigError
from stream.settings.choices import needed
from stream.settings.config import Config
from stream.settings.presets import build, load, parse_override

KEYS = [
    (section.name, key) for section in msgspec.structs.fields(Config) for key in msgspec.structs.fields(section.type)
]
VALUES = [None, "wörng", "a\nb", "", 3.5, -1, True, 10**30, math.nan, math.inf, [], [1], [[]], {}, {"a": 1}, b"x"]
FOREIGN = ("expected", "`", "got ", "Traceback", "regex")


@pytest.mark.parametrize(("section", "key"), KEYS, ids=lambda x: x if isinstance(x, str) else x.name)
def test_each_bad_value_is_refused_in_our_words_on_one_line(section, key):
    dotted, refused = f"{section}.{key.name}", 0
    for value in VALUES:
        try:
            build({section: {key.name: value}})
        except ConfigError as error:
            refused += 1
            text = str(error)
            assert key.name in text, (value, text)
            assert "needs " in text, (value, text)
            assert "\n" not in text, (value, text)
            assert not [word for word in FOREIGN if word in text.replace(repr(value), "")], (value, text)
    assert refused >= 5, f"{dotted} takes nearly everything"
    with pytest.raises(ConfigError, match=f"{section}.{key.name}x: unknown key; .*{key.name}"):
        build({section: {f"{key.name}x": 1}})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tracker.horizon=1", "tracker.horizon is 1; needs a whole number from 2 to 64"),
        ("tracker.horizon=", "tracker.horizon is nothing (null); needs a whole number from 2 to 64"),
        ("decoder.side=1000", "decoder.side is 1000; needs a whole number from 256 to 1024 that is a multiple of 64"),
        ("capture.backoff_jitter=2", "capture.backoff_jitter is 2; needs a number from 0 to 1"),
        ("tracker.patch_similarity=1", "tracker.patch_similarity is 1; needs a number from 0 to below 1"),
        ("tracker.reinit=maybe", "tracker.reinit is 'maybe'; needs true or false"),
        ("tracker.emit=now", "tracker.emit is 'now'; needs auto, frame or horizon"),
        ("capture.duration_s=.inf", "capture.duration_s is inf; needs a number of 0 or more, at most 1000000000"),
        ("capture.frames=-3", "capture.frames is -3; needs a whole number of 0 or more"),
        ("graph.run=tracker", "graph.run is 'tracker'; needs a list of texts, such as [a, b]"),
        ("graph.endpoints=[1]", "graph.endpoints is [1]; needs names with texts, such as {a: b}"),
        ("control.max_objects=true", "control.max_objects is true; needs a whole number from 1 to 65535"),
    ],
)
def test_an_override_that_does_not_fit_is_refused_with_what_is_needed(override, message):
    with pytest.raises(ConfigError) as caught:
        load("lite", dict([parse_override(override)]))
    assert str(caught.value) == message


def test_a_long_value_is_not_shown_to_its_end():
    with pytest.raises(ConfigError) as caught:
        build({"tracker": {"horizon": "x" * 10_000}})
    assert len(str(caught.value)) < 200


def test_every_key_says_what_it_needs():
    for _, key in KEYS:
        assert needed(key.type)
