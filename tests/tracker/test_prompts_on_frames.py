"""Prompts on frames of the past: points are placed there and caught up, and the decoder is sent what it needs."""

from __future__ import annotations

import numpy as np
import pytest
from builders import frame as gray_frame
from builders import gray, point_prompt, prompted_tracks, seeds
from tracker.drifting_points import frame, points, positions, run, seeds_at_boundary, tracker
from tracker.tracker_stages import LIVE, clicked, noise, started

from stream.commands import ChooseCandidate, DecoderRestarted, GivePrompt, HoldFrame, ReleaseFrame, RemoveObject
from stream.errors import PromptError
from stream.messages import Frame, FrameRef, PromptOnFrame, TrackedFrame, Tracks
from stream.reports import Answer
from stream.transport.wire import from_parts, to_parts


def on(frame_id: int, object_id: int = 1, **fields):
    """A click at (20, 20) on a frame."""
    return point_prompt(object_id, [(20, 20)], frame=FrameRef(session=0, frame_id=frame_id), **fields)


def newest_tracks(answers) -> Tracks:
    return [a for a in answers if isinstance(a, Tracks)][-1]


# --- the tracker ---


@pytest.mark.parametrize("options", [{}, {"reinit": False, "link": "visible"}, {"reinit_variant": "C"}])
@pytest.mark.parametrize("age", [1, 3, 9, 15])
def test_points_begin_on_the_frame_that_the_prompt_names_and_are_caught_up(options, age):
    t = tracker(**options)
    run(t, range(40), seeds_at_boundary)
    t.prompt_on_frame(on(39 - age))
    t.take_past_prompts()
    answer = newest_tracks(t.step(frame(40)))
    assert positions(answer).tolist() == [[20 + age + 1, 20]]  # everything moves one px a frame
    assert (answer.objects[0].drawn_id, answer.seeds_for) == (39 - age, ())
    assert max(t.model.lengths) <= 8  # PIPS sees no more


def test_other_objects_keep_their_points_and_their_windows():
    def followed(prompted: bool):
        t = tracker()
        t.add(points(2, xy=((50, 50), (30, 30))))
        run(t, range(20), seeds_at_boundary)
        if prompted:
            t.prompt_on_frame(on(12))
            t.take_past_prompts()
        return [(positions(a, 2), a.boundary) for a in run(t, range(20, 40), seeds_at_boundary)]

    for (xy, boundary), (wanted, wanted_boundary) in zip(followed(True), followed(False), strict=True):
        assert np.array_equal(xy, wanted)
        assert boundary == wanted_boundary


def test_the_decoder_gets_the_frame_itself_and_those_that_were_answered_since():
    t = tracker(replays=True)
    t.add(points(2))
    run(t, range(30), seeds_at_boundary)
    t.prompt_on_frame(on(20))
    [message] = t.take_past_prompts()
    assert (message.prompt.object_id, message.on.frame.stamp.frame_id) == (1, 20)
    assert [o.object_id for o in message.on.objects] == [2]  # as they were there
    assert [f.stamp.frame_id for f in message.since] == list(range(21, 30))
    assert [a for a in t.step(frame(30)) if isinstance(a, PromptOnFrame)] == []  # once


def test_a_mask_model_without_memory_gets_the_frame_alone():
    t = tracker()
    run(t, range(30))
    t.prompt_on_frame(on(20))
    [message] = t.take_past_prompts()
    assert message.since == ()


def test_the_seeds_of_that_frame_replace_the_points_however_many_windows_have_ended_since():
    t = tracker()
    t.add(points(2))
    run(t, range(30), seeds_at_boundary)
    t.prompt_on_frame(on(16))
    t.take_past_prompts()
    run(t, range(30, 33), seeds_at_boundary)  # frame 16 leaves the buffer
    t.reseed(seeds(16, 1, x=30))
    xy = positions(newest_tracks(t.step(frame(33))))
    assert len(xy) == 9
    assert (xy[:8, 0] >= 30 + 17).all()
    assert (xy[:8, 0] < 40 + 17).all()


def test_a_pinned_frame_serves_long_after_it_has_left_the_buffer():
    t = tracker(replays=True)
    run(t, range(20))
    t.past.pin(FrameRef(session=0, frame_id=12))
    run(t, range(20, 150))
    t.prompt_on_frame(on(12))
    [message] = t.take_past_prompts()
    since = [f.stamp.frame_id for f in message.since]
    assert (since[-1], len(since)) == (149, 16)
    assert positions(newest_tracks(t.step(frame(150)))).tolist() == [[20 + 138, 20]]
    t.reseed(seeds(12, 1, x=30))
    xy = positions(newest_tracks(t.step(frame(151))))
    assert (xy[:8, 0] >= 30 + 139).all()
    assert (xy[:8, 0] < 40 + 139).all()


def test_answers_by_whole_windows_let_prompts_name_the_frames_that_were_answered():
    t = tracker(emit="horizon", reinit=False, link="visible")
    t.add(points(2))
    answers = run(t, range(30))
    answered = newest_tracks(answers).frame.stamp.frame_id
    assert answered < 29
    with pytest.raises(PromptError, match=f"to {answered} of session 0"):
        t.prompt_on_frame(on(29))
    t.prompt_on_frame(on(answered - 2))
    t.take_past_prompts()
    later = [a for a in run(t, range(30, 45)) if isinstance(a, Tracks)]
    assert later[0].frame.stamp.frame_id == answered + 1
    assert positions(later[-1])[0, 0] == 20 + later[-1].frame.stamp.frame_id - (answered - 2)


def test_more_points_on_the_frame_of_the_newest_prompt_belong_to_it():
    t = tracker()
    run(t, range(20))
    t.prompt_on_frame(on(15))
    t.take_past_prompts()
    more = point_prompt(1, [(9, 9)], 0, kind="refine", frame=FrameRef(session=0, frame_id=15))
    t.prompt_on_frame(more)
    [message] = t.take_past_prompts()
    assert (message.prompt.kind, message.prompt.xy.tolist()) == ("add", [[20, 20], [9, 9]])
    assert message.prompt.labels.tolist() == [1, 0]


def test_more_points_on_another_frame_are_a_refinement_there():
    t = tracker()
    run(t, range(20))
    t.prompt_on_frame(on(15))
    t.take_past_prompts()
    run(t, range(20, 25))
    t.prompt_on_frame(point_prompt(1, [(9, 9)], 0, kind="refine", frame=FrameRef(session=0, frame_id=22)))
    [message] = t.take_past_prompts()
    assert (message.prompt.kind, message.prompt.xy.tolist()) == ("refine", [[9, 9]])
    assert message.on.objects[0].xy.tolist() == [[27, 20]]  # what the object's points were there


def test_an_object_that_is_not_there_can_not_be_refined_on_a_frame():
    t = tracker()
    run(t, range(20))
    with pytest.raises(PromptError, match="can't be refined"):
        t.prompt_on_frame(on(15, kind="refine"))


def test_another_candidate_is_asked_for_on_the_frame_of_the_newest_prompt():
    t = tracker()
    t.add(points())
    run(t, range(40))  # long after
    t.past_prompts.choose(1, 1, request=5)
    [message] = t.take_past_prompts()
    assert (message.on.frame.stamp.frame_id, message.prompt.step, message.request) == (0, 1, 5)
    assert message.prompt.xy.tolist() == points().xy.tolist()


def test_a_chosen_mask_replaces_points_that_live_on_without_re_initialisation():
    t = tracker(reinit=False, link="visible")
    t.add(points())
    run(t, range(5))
    t.reseed(seeds(0, 1, x=30))
    assert len(positions(newest_tracks(t.step(frame(5))))) == 2  # the user's own
    t.past_prompts.choose(1, 1, request=5)
    t.take_past_prompts()
    t.reseed(seeds(0, 1, x=30))
    assert len(positions(newest_tracks(t.step(frame(6))))) == 9


def test_a_prompt_waits_while_a_boundary_is_decoded_a_second_time():
    t = tracker(wait_for_seed=True, redo_boundary=True)
    t.add(points(2))
    run(t, range(8), seeds_at_boundary)
    assert t.reinit_request is not None
    t.prompt_on_frame(on(5))
    assert t.take_past_prompts() == []
    kinds = [type(a) for a in t.step(frame(8))]
    assert kinds == [Tracks, PromptOnFrame, Tracks]
    assert t.must_wait
    t.reseed(seeds(5, 1))
    assert not t.must_wait


def test_a_live_feed_goes_on_while_the_mask_of_an_old_frame_is_made():
    t = tracker()
    run(t, range(30))
    t.prompt_on_frame(on(15))
    t.take_past_prompts()
    assert not t.a_window_ahead


def test_a_restarted_decoder_gets_a_prompt_again_whose_mask_has_not_come():
    t = tracker()
    run(t, range(20))
    t.prompt_on_frame(on(15))
    t.take_past_prompts()
    run(t, range(20, 22))
    t.decoder_restarted()
    answers = t.step(frame(22))
    [message] = [a for a in answers if isinstance(a, PromptOnFrame)]
    assert message.on.frame.stamp.frame_id == 15
    assert newest_tracks(answers).prompts == ()


def test_a_new_frame_size_lets_all_frames_go():
    t = tracker()
    run(t, range(20))
    t.step(gray_frame(20, (30, 40), rgb=gray((30, 40)), epoch=1))
    with pytest.raises(PromptError, match="frame 15 of session 0 is gone; there are frames 20 to 20"):
        t.prompt_on_frame(on(15))


# --- its shell ---


def ref(frame_id: int) -> FrameRef:
    return FrameRef(session=0, frame_id=frame_id)


def test_a_prompt_is_answered_at_once_and_sent_on_before_the_next_frame_comes():
    stage, node = started(**LIVE)
    for i in range(20):
        node.give(stage, noise(i))
    node.sent.clear()
    stage.handle_command(GivePrompt(prompt=on(12), request=3))
    assert [(a.request, a.error) for a in node.take(Answer)] == [(3, "")]
    [message] = node.take(PromptOnFrame)
    assert [f.stamp.frame_id for f in message.since] == list(range(13, 20))


def test_a_prompt_on_a_frame_that_is_gone_is_answered_with_the_reason_and_no_object_begins():
    stage, node = started(**LIVE)
    for i in range(20):
        node.give(stage, noise(i))
    stage.handle_command(GivePrompt(prompt=on(400), request=3))
    [answer] = node.take(Answer)
    assert (answer.code, answer.request) == ("frame_gone", 3)
    assert "frame 400 of session 0 is gone; there are frames 0 to 19" in answer.error
    node.give(stage, noise(20))
    assert node.take(Tracks)[-1].objects == ()


def test_a_held_frame_is_there_for_half_a_minute_or_until_it_is_released():
    stage, node = started(**LIVE)
    for i in range(20):
        node.give(stage, noise(i))
    stage.handle_command(HoldFrame(frame=ref(5), request=1))
    stage.handle_command(HoldFrame(frame=ref(6), request=2))
    stage.handle_command(HoldFrame(frame=ref(99), request=3))
    assert [a.code if a.error else "held" for a in node.take(Answer)] == ["held", "held", "frame_gone"]
    for i in range(20, 120):
        node.time_s = i * 0.04
        node.give(stage, noise(i))
    stage.handle_command(ReleaseFrame(frame=ref(6)))
    stage.handle_command(GivePrompt(prompt=on(6, 6), request=4))
    stage.handle_command(GivePrompt(prompt=on(5, 5), request=5))
    assert [bool(a.error) for a in node.take(Answer)] == [True, False]
    node.time_s = 60
    stage.handle_command(GivePrompt(prompt=on(5, 7), request=6))
    assert [a.code for a in node.take(Answer) if a.error] == ["frame_gone"]


def test_the_decoder_answers_for_a_candidate_and_the_tracker_only_where_the_frame_is_gone():
    stage, node = started(**LIVE)
    stage.handle_command(clicked())
    for i in range(5):
        node.give(stage, noise(i))
    stage.handle_command(ChooseCandidate(object_id=1, step=1, request=8))
    assert node.take(Answer) == []
    assert [m.request for m in node.take(PromptOnFrame)] == [8]
    stage.handle_command(ChooseCandidate(object_id=2, step=1, request=9))
    [answer] = node.take(Answer)
    assert (answer.request, answer.code) == (9, "frame_gone")


def test_a_removed_object_takes_its_prompt_with_it():
    stage, node = started(**LIVE)
    stage.handle_command(clicked())
    node.give(stage, noise(0))
    stage.handle_command(RemoveObject(object_id=1))
    stage.handle_command(ChooseCandidate(object_id=1, step=1, request=9))
    assert [a.code for a in node.take(Answer)] == ["frame_gone"]


def test_a_prompt_with_a_candidate_and_no_frame_acts_on_the_newest_frame():
    stage, node = started(**LIVE)
    for i in range(5):
        node.give(stage, noise(i))
    prompt = point_prompt(1, [(20, 20)], candidate=0)
    stage.handle_command(GivePrompt(prompt=prompt, request=1))
    [message] = node.take(PromptOnFrame)
    assert (message.on.frame.stamp.frame_id, message.prompt.candidate) == (4, 0)


def test_a_restarted_decoder_is_told_before_the_prompts_that_follow():
    stage, node = started(**LIVE)
    stage.handle_command(clicked(2))
    for i in range(5):
        node.give(stage, noise(i))
    stage.handle_command(DecoderRestarted())
    node.sent.clear()
    stage.handle_command(GivePrompt(prompt=on(2), request=1))
    node.give(stage, noise(5))
    [tracks] = node.take(Tracks)
    assert [p.object_id for p in tracks.prompts] == [2]
    assert {o.object_id for o in tracks.objects} == {1, 2}


def test_a_prompt_on_a_frame_crosses_the_wire_unchanged():
    tracks = prompted_tracks()
    message = PromptOnFrame(
        prompt=on(3, step=-1, candidate=2),
        on=TrackedFrame(frame=tracks.frame, objects=tracks.objects),
        since=(Frame(stamp=tracks.frame.stamp, rgb=gray((4, 6))),),
        request=7,
    )
    back = from_parts([bytes(p) for p in to_parts(message)], PromptOnFrame)
    assert (back.request, back.prompt.step, back.prompt.candidate) == (7, -1, 2)
    assert back.prompt.frame == message.prompt.frame
    assert np.array_equal(back.since[0].rgb, message.since[0].rgb)
    assert np.array_equal(back.on.objects[0].xy, tracks.objects[0].xy)
