from __future__ import annotations

import logging

import pytest
from builders import masks, object_mask
from supervision_fakes import SIZE, SessionUnderTest, boxed, found, health, opened

from stream.commands import (
    DecoderRestarted,
    DiscoveryDone,
    GivePrompt,
    Pause,
    RepeatPicture,
    Resume,
    SetLabels,
    Start,
    StartCapture,
    StartTracker,
    Stop,
    TakeSnapshot,
)
from stream.errors import PromptError
from stream.supervision.actions import EndRun, SendCommand, SendReply
from stream.supervision.journal import from_journal

NODES = ("capture", "tracker", "decoder", "renderer", "publisher")


def test_the_tracker_begins_once_it_is_loaded_and_the_feed_has_a_picture():
    run = SessionUnderTest([boxed(1), boxed(2)])
    run.session.on_hello("tracker", 0.0)
    assert run.commands() == []
    run.session.on_opened(opened(), 1.0)
    assert run.commands() == [("tracker", GivePrompt, 1), ("tracker", GivePrompt, 2), ("tracker", StartTracker)]


def test_a_tracker_that_loads_late_gets_its_prompts_when_it_says_hello():
    run = SessionUnderTest([boxed(1)])
    run.session.on_opened(opened(), 0.0)
    assert run.commands() == []
    run.session.on_hello("tracker", 1.0)
    assert run.commands() == [("tracker", GivePrompt, 1), ("tracker", StartTracker)]


def test_nodes_without_a_state_of_their_own_are_told_how_often_they_were_restarted():
    run = SessionUnderTest()
    for restarts in range(3):
        run.session.on_hello("renderer", 0.0)
        (action,) = run.actions(SendCommand)
        assert (action.node, action.command) == ("renderer", Start(restarts=restarts))


@pytest.mark.parametrize("node", ["renderer", "publisher"])
def test_a_restarted_node_that_shows_labels_is_told_them_again(node):
    before = SessionUnderTest([boxed(1), boxed(2)], supervisor__journal="x.json")
    before.session.on_opened(opened(), 0.0)
    before.request("rename_object", {"object_id": 2, "label": "cat"})
    before.session.on_tick(0.0)
    (journal,) = before.journals()
    run = SessionUnderTest(journal=journal)
    run.session.on_hello(node, 0.0)
    assert [a.command for a in run.actions(SendCommand)] == [Start(restarts=0), SetLabels(labels={2: "cat"})]


def test_a_suggestion_of_the_source_counts_only_where_nobody_gave_a_prompt():
    prompted, unprompted = SessionUnderTest([boxed(5)]), SessionUnderTest()
    for run in (prompted, unprompted):
        run.session.on_opened(opened(prompts=(boxed(1),)), 0.0)
    assert list(prompted.session.registry.entries) == [5]
    assert list(unprompted.session.registry.entries) == [1]


def test_a_prompt_outside_the_frame_ends_the_run():
    run = SessionUnderTest([boxed(1, (0, 0, 61, 20))])
    run.session.on_hello("tracker", 0.0)
    run.session.on_opened(opened(), 0.0)
    ((error,), commands) = run.ends(), run.commands()
    assert isinstance(error, PromptError)
    assert "leaves the frame of 60x40" in str(error)
    assert commands == []


def test_a_file_goes_on_after_the_newest_frame_that_was_tracked():
    run = SessionUnderTest(capture__source="clip.mp4")
    run.session.on_opened(opened(session=3, epoch=2), 10.0)
    run.session.on_health(health("capture", 20), 11.0)
    run.session.on_health(health("tracker", 17), 11.0)
    run.session.on_hello("capture", 12.5)
    (action,) = run.actions(SendCommand)
    assert action.command == StartCapture(frame_id=18, session=3, epoch=2, elapsed_s=2.5, opened_before=True)


@pytest.mark.parametrize(("away_s", "frame_id"), [(0.0, 31), (1.0, 51)])
def test_the_ids_of_a_live_feed_go_on_by_what_it_sent_meanwhile(away_s, frame_id):
    run = SessionUnderTest(capture__source="rtsp://h/x")
    run.session.on_opened(opened(session=3), 0.0)
    run.session.on_health(health("capture", 20), 5.0)
    run.session.on_health(health("capture", 19), 5.5)  # older than what is known
    run.session.on_hello("capture", 5.0 + away_s)
    (action,) = run.actions(SendCommand)
    assert (action.command.frame_id, action.command.session) == (frame_id, 4)  # half a second more, at 20 frames/s


def test_a_live_source_without_a_rate_counts_as_the_usual_one():
    run = SessionUnderTest(capture__source="rtsp://h/x")
    run.session.on_opened(opened(fps=None), 0.0)
    run.session.on_health(health("capture", 20), 5.0)
    run.session.on_hello("capture", 5.0)
    (action,) = run.actions(SendCommand)
    assert action.command.frame_id == 21 + 15


def test_a_recording_that_plays_in_real_time_begins_once_every_node_is_loaded():
    run = SessionUnderTest(capture__source="clip.mp4", capture__realtime=True)
    for name in ("capture", "decoder", "tracker", "renderer", "publisher"):
        assert ("capture", StartCapture) not in run.commands()
        run.session.on_hello(name, 0.0)
    assert ("capture", StartCapture) in run.commands()


@pytest.mark.parametrize("keys", [{"source": "clip.mp4"}, {"source": "rtsp://h/x"}, {"source": "0", "realtime": True}])
def test_any_other_feed_begins_as_soon_as_capture_is_loaded(keys):
    run = SessionUnderTest(**{f"capture__{key}": value for key, value in keys.items()})
    run.session.on_hello("capture", 0.0)
    assert run.commands() == [("capture", StartCapture)]


def test_a_paused_feed_stays_paused_when_capture_is_restarted():
    run = SessionUnderTest()
    run.session.pause()
    assert run.commands() == [("capture", Pause)]
    run.session.on_hello("capture", 0.0)
    assert run.commands() == [("capture", StartCapture), ("capture", Pause)]
    run.session.resume()
    assert run.commands() == [("capture", Resume)]
    run.session.on_hello("capture", 0.0)
    assert run.commands() == [("capture", StartCapture)]


def test_what_is_asked_for_while_a_live_feed_is_paused_has_its_picture_given_again():
    for source, commands in (("rtsp://h/x", [TakeSnapshot, RepeatPicture]), ("clip.mp4", [TakeSnapshot])):
        run = SessionUnderTest(capture__source=source)
        run.session.pause()
        run.commands()
        run.session.take_snapshot(1)
        assert [c[1] for c in run.commands()] == commands
        run.session.resume()
        run.commands()
        run.session.take_snapshot(2)
        assert [c[1] for c in run.commands()] == [TakeSnapshot]


def test_a_decoder_that_is_restarted_does_not_search_for_objects_again():
    run = SessionUnderTest(decoder__auto=3, decoder__backend="sam")
    run.session.on_hello("decoder", 0.0)
    assert not run.session.discovery_done
    run.commands()
    run.session.on_hello("decoder", 1.0)
    assert run.commands() == [("decoder", Start), ("tracker", DecoderRestarted)]
    assert run.session.discovery_done
    run.session.on_opened(opened(), 2.0)
    run.session.on_hello("tracker", 2.0)
    assert run.actions(SendCommand)[-1].command == StartTracker(fps=20.0)


@pytest.mark.parametrize(("newest", "discover"), [(-1, True), (7, False)])
def test_objects_are_searched_for_on_the_first_frame_alone(newest, discover):
    run = SessionUnderTest(decoder__auto=3, decoder__backend="sam")
    run.session.on_opened(opened(), 0.0)
    run.session.on_health(health("tracker", newest), 0.0)
    run.session.on_hello("tracker", 1.0)
    (action,) = run.actions(SendCommand)
    assert action.command == StartTracker(newest_frame_id=newest, fps=20.0, discover=discover)


def test_what_was_found_is_followed_and_the_tracker_goes_on():
    run = SessionUnderTest(decoder__auto=1, decoder__backend="sam")
    run.session.on_opened(opened(), 0.0)
    run.session.on_found(found((2, 2, 8, 4), (20, 2, 8, 4)))
    assert list(run.session.registry.entries) == [1]
    assert run.commands() == [("tracker", DiscoveryDone)]


def test_what_a_decoder_found_before_it_was_restarted_is_not_followed():
    run = SessionUnderTest(decoder__auto=2, decoder__backend="sam")
    run.session.on_opened(opened(), 0.0)
    for now_s in (1.0, 2.0):
        run.session.on_hello("decoder", now_s)
    run.session.on_found(found((2, 2, 8, 4)))
    assert not run.session.registry.entries
    assert run.commands()[-1] == ("tracker", DiscoveryDone)


def discovering(most, *, live=False):
    run = SessionUnderTest(decoder__auto=most, decoder__backend="sam", capture__realtime=live)
    run.session.on_opened(opened(), 0.0)
    run.session.on_hello("tracker", 0.0)
    run.commands()
    return run


def test_what_was_found_is_followed_as_if_somebody_gave_a_prompt_and_no_more_than_allowed():
    run = discovering(3)
    run.request("add_object", {"points": [[5, 5]]})
    run.session.on_found(found((1, 1, 4, 4), (20, 10, 8, 8), (30, 30, 4, 4)))
    assert [c for c in run.commands() if c[1] is GivePrompt] == [("tracker", GivePrompt, i) for i in (1, 2, 3)]
    prompt = run.session.registry.entry(3).first_prompt
    assert prompt.xy is None
    assert prompt.mask.shape == SIZE
    assert prompt.mask[10:18, 20:28].all()
    assert prompt.mask.sum() == 64
    run.session.on_found(found((50, 30, 4, 4), requested=False))
    assert run.commands() == []


@pytest.mark.parametrize(("live", "requested"), [(True, True), (True, False), (False, False)])
def test_what_was_found_a_while_ago_comes_with_a_point_so_that_sam_is_prompted(live, requested):
    run = discovering(1, live=live)
    run.session.on_found(found((20, 10, 8, 8), requested=requested))
    prompt = run.session.registry.entry(1).first_prompt
    assert prompt.xy.tolist() == [[20, 10]]
    assert prompt.labels.tolist() == [1]
    assert prompt.mask.any()


def test_what_was_found_on_frames_of_another_size_is_dropped():
    run = discovering(3)
    run.session.on_found(found((1, 1, 4, 4), size=(80, 120), requested=False))
    assert not run.session.registry.entries
    assert run.commands() == []


def test_prompts_wait_while_the_tracker_is_being_restarted():
    run = SessionUnderTest()
    run.session.on_hello("tracker", 0.0)
    run.session.on_opened(opened(), 0.0)
    run.session.on_restart("tracker")
    run.commands()
    run.request("add_object", {"points": [[5, 5]]})
    assert run.commands() == []
    run.session.on_hello("tracker", 1.0)
    assert run.commands() == [("tracker", GivePrompt, 1), ("tracker", StartTracker)]


def test_the_journal_is_written_when_something_has_changed():
    keys = {"supervisor__journal": "{camera}.json", "capture__camera": "gate"}
    run = SessionUnderTest([boxed(4)], **keys)
    run.session.on_tick(0.0)
    assert run.journals() == []
    run.session.on_opened(opened(), 1.0)
    run.session.on_tick(1.0)
    (journal,) = run.journals()
    assert list(from_journal(journal).entries) == [4]
    run.session.on_tick(100.0)
    assert run.journals() == []


def test_masks_are_written_to_the_journal_a_second_later():
    run = SessionUnderTest([boxed(4)], supervisor__journal="x.json")
    run.session.on_opened(opened(), 0.0)
    run.session.on_tick(0.0)
    run.journals()
    for now_s in (5.0, 5.9):
        run.session.on_masks(masks(5, object_mask(4, (3, 4, 5, 6)), size=SIZE), now_s)
        run.session.on_tick(now_s)
    assert run.journals() == []
    run.session.on_tick(6.0)
    (journal,) = run.journals()
    assert from_journal(journal).entries[4].prompt.kind == "restore"


def test_without_a_journal_nothing_is_written():
    run = SessionUnderTest([boxed(4)])
    run.session.on_opened(opened(), 1.0)
    run.session.on_tick(2.0)
    run.session.on_end()
    assert run.journals() == []


@pytest.mark.parametrize(
    ("prompt", "ids", "line"),
    [
        (boxed(4), [4], "object 4 is in the journal already"),
        (boxed(4, (2, 2, 9, 9)), [4, 5], "the new object is 5"),
        (boxed(9), [4, 9], ""),
    ],
)
def test_a_prompt_that_the_journal_holds_already_is_not_used_again(caplog, prompt, ids, line):
    caplog.set_level(logging.INFO)
    before = SessionUnderTest([boxed(4)], supervisor__journal="x.json")
    before.session.on_opened(opened(), 0.0)
    before.session.on_end()
    (journal,) = before.journals()
    run = SessionUnderTest([prompt], journal=journal, supervisor__journal="x.json")
    run.session.on_opened(opened(), 0.0)
    assert list(run.session.registry.entries) == ids
    assert line in caplog.text


def test_a_request_to_shut_down_gets_its_reply_and_ends_the_run():
    run = SessionUnderTest()
    actions = run.serve([b'{"id": 1, "method": "shutdown"}'])
    assert [type(a) for a in actions] == [EndRun, SendReply]
    assert actions[0].error is None


@pytest.mark.parametrize(("record", "sinks"), [("", {"publisher"}), ("x.mp4", {"publisher", "renderer"})])
def test_the_run_is_over_once_every_sink_has_seen_the_end_of_the_feed(record, sinks):
    run = SessionUnderTest(renderer__record=record)
    for node in ("capture", "tracker", "decoder"):
        run.session.on_done(node)
    for node in sorted(sinks):
        assert run.ends() == []
        run.session.on_done(node)
    assert run.ends() == [None]
    run.session.on_done("publisher")
    assert run.ends() == []


def test_at_the_end_the_journal_is_written_and_every_node_is_stopped():
    run = SessionUnderTest(supervisor__journal="x.json")
    run.session.on_end()
    actions = run.outbox.take()
    assert len(actions) == 1 + len(NODES)
    assert [(a.node, a.command) for a in actions[1:]] == [(node, Stop()) for node in NODES]


def test_capture_that_dies_before_it_has_told_of_a_frame_goes_on_where_the_source_was_opened():
    run = SessionUnderTest(capture__source="rtsp://h/x")
    run.session.on_opened(opened(fps=20.0), 8000.0)
    run.session.on_restart("capture")
    run.session.on_hello("capture", 8001.0)
    (start,) = [a.command for a in run.actions(SendCommand) if isinstance(a.command, StartCapture)]
    assert start.frame_id == 30  # 1 s, and half a second for opening
