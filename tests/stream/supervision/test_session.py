from __future__ import annotations

import numpy as np
import pytest

from stream.errors import PromptError
from stream.messages import Prompt
from stream.reports import Found, Opened, Proposal
from stream.settings.presets import load
from stream.supervision.lifecycle import Supervised
from stream.supervision.session import Session
from stream.topology import SUPERVISED

SIZE = (40, 60)


class FakeCompany:
    def __init__(self, config):
        self.nodes = {name: Supervised(name, config, None) for name in SUPERVISED}
        self.told = []
        self.stopped = False

    def tell(self, node, command):
        self.told.append((node, command))

    def summary(self):
        return {}

    def stop(self):
        self.stopped = True

    def heard(self):
        """(node, kind of command) of each since the last call."""
        told, self.told = self.told, []
        return [(node, command.kind) for node, command in told]


def directed(prompts=(), **keys):
    config = load("lite", {key.replace("__", "."): value for key, value in keys.items()})
    company = FakeCompany(config)
    return Session(config, list(prompts), company), company


def opened(**values):
    return Opened(node="capture", pid=1, size=SIZE, fps=20.0, **values)


def boxed(object_id, box=(1, 1, 20, 20)):
    return Prompt(object_id=object_id, box=box)


def test_the_tracker_begins_once_it_is_loaded_and_the_feed_has_a_picture():
    director, company = directed([boxed(1), boxed(2)])
    company.nodes["tracker"].loaded()
    director.greet("tracker")
    assert company.heard() == []
    director.open(opened())
    assert company.heard() == [("tracker", "prompt"), ("tracker", "prompt"), ("tracker", "start")]


def test_a_suggestion_of_the_source_counts_only_where_nothing_was_asked_for():
    asked, _ = directed([boxed(5)])
    asked.open(opened(prompts=(boxed(1),)))
    silent, _ = directed()
    silent.open(opened(prompts=(boxed(1),)))
    assert (list(asked.registry.entries), list(silent.registry.entries)) == ([5], [1])


def test_a_prompt_outside_the_frame_ends_the_run():
    director, _ = directed([boxed(1, (0, 0, 61, 20))])
    with pytest.raises(PromptError, match="leaves the frame of 60x40"):
        director.open(opened())


def test_a_file_goes_on_after_the_newest_frame_that_was_tracked():
    director, company = directed(capture__source="clip.mp4")
    director.open(opened(session=3, epoch=2))
    company.nodes["capture"].tally.seen_frame(20, 0.0)
    company.nodes["tracker"].tally.seen_frame(17, 0.0)
    director.greet("capture")
    ((_, start),) = company.told
    assert (start.kind, start.again, start.frame_id, start.session, start.epoch) == ("start", True, 18, 3, 2)


def test_the_ids_of_a_live_feed_go_on_by_what_it_sent_meanwhile():
    director, company = directed(capture__source="rtsp://h/x")
    director.open(opened(session=3))
    company.nodes["capture"].tally.seen_frame(20, float("inf"))  # this very moment
    director.greet("capture")
    ((_, start),) = company.told
    assert (start.frame_id, start.session) == (31, 4)  # half a second at 20 frames/s


def test_a_recording_that_plays_in_real_time_begins_once_everyone_is_loaded():
    director, company = directed(capture__source="clip.mp4", capture__realtime=True)
    for name in ("capture", "decoder", "tracker", "renderer", "publisher"):
        assert ("capture", "start") not in company.heard()
        company.nodes[name].loaded()
        director.greet(name)
    assert ("capture", "start") in company.heard()


@pytest.mark.parametrize("keys", [{"source": "clip.mp4"}, {"source": "rtsp://h/x"}, {"source": "0", "realtime": True}])
def test_any_other_feed_begins_as_soon_as_capture_is_loaded(keys):
    director, company = directed(**{f"capture__{key}": value for key, value in keys.items()})
    company.nodes["capture"].loaded()
    director.greet("capture")
    assert company.heard() == [("capture", "start")]


def test_a_paused_feed_stays_paused_when_capture_starts_anew():
    director, company = directed()
    director.pause(True)
    company.heard()
    director.greet("capture")
    assert company.heard() == [("capture", "start"), ("capture", "pause")]
    director.pause(False)
    company.heard()
    director.greet("capture")
    assert company.heard() == [("capture", "start")]


def test_a_decoder_that_starts_anew_is_not_asked_to_look_around_again():
    director, company = directed(decoder__auto=3, decoder__backend="sam")
    company.nodes["decoder"].loaded()
    director.greet("decoder")
    assert not director.surveyed
    company.nodes["decoder"].loaded()
    company.heard()
    director.greet("decoder")
    assert company.heard() == [("decoder", "start"), ("tracker", "revive")]
    assert director.surveyed


def test_what_was_found_is_followed_and_the_tracker_goes_on():
    director, company = directed(decoder__auto=1, decoder__backend="sam")
    director.open(opened())
    proposals = tuple(
        Proposal(bbox=(x, 2, 8, 4), bits=np.full(4, 255, np.uint8), score=0.9, inside=(x + 3, 3)) for x in (2, 20)
    )
    director.follow(Found(node="decoder", pid=1, frame_id=0, survey=True, size=SIZE, objects=proposals))
    assert list(director.registry.entries) == [1]
    assert company.heard() == [("tracker", "found")]


def test_the_journal_is_written_when_something_has_changed(tmp_path):
    journal = tmp_path / "gate.json"
    keys = {"supervisor__journal": str(tmp_path / "{camera}.json"), "capture__camera": "gate"}
    director, _ = directed([boxed(4)], **keys)
    director.save_when_due()
    assert not journal.exists()
    director.open(opened())
    director.save_when_due()
    again, _ = directed(**keys)
    assert list(again.registry.entries) == [4]
    journal.unlink()
    director.save_when_due()
    assert not journal.exists()


def test_a_request_to_shut_down_ends_the_run():
    director, company = directed()
    director.desk.serve([b'{"id": 1, "method": "shutdown"}'], lambda body: None)
    assert company.stopped
