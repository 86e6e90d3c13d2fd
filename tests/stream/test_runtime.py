"""The loop that drives a stage, over inproc sockets, with the test as its supervisor and its neighbours."""

from __future__ import annotations

import itertools
import threading
import time

import pytest
from builders import frame

from stream.commands import COMMANDS, Pause, Start, Stop
from stream.errors import SourceError
from stream.messages import End, Frame, Seeds, Tracks
from stream.node import Stage
from stream.reports import REPORTS, Done, Failure, Health, Hello, Progress
from stream.runtime import StopFlag, run_stage
from stream.settings.presets import load
from stream.topology import wiring
from stream.transport.service_sockets import Inlet
from stream.transport.sockets import Context
from stream.transport.topics import Publisher, Subscriber

PATIENCE_S = 60.0  # a busy machine takes its time
_names = itertools.count()


class Recording(Stage):
    """A tracker that keeps what it is given, and passes frames on without points."""

    def __init__(self, node):
        self.node = node
        self.events = []
        self.lets_go = ()
        self.wanted = True

    def handle_command(self, command):
        self.events.append(type(command).__name__)

    def wants(self, topic):
        return self.wanted or topic != "frames"

    def step(self, message):
        if isinstance(message, Seeds):
            self.events.append("seeds")
            return True
        frame_id = message.stamp.frame_id
        self.events.append(frame_id)
        if frame_id in self.lets_go:
            return False
        self.node.send(Tracks(frame=message))
        return True

    def finish(self):
        self.events.append("finish")

    def close(self):
        self.events.append("close")

    def progress(self):
        return Progress(frame_id=7, counters={"tracked": 3})


class World:
    """Everything round one tracker: capture, decoder and supervisor."""

    def __init__(self, make_stage):
        self.config = load("lite", {"supervisor.heartbeat_s": 0.05})
        graph, base = wiring(self.config), f"inproc://runtime-{next(_names)}/"
        self.context, self.stop = Context(), StopFlag()
        self.reports_in = Inlet(self.context, graph.endpoint("reports", base), REPORTS)
        self.commands = Publisher(self.context, base + "commands", "commands", graph.outputs("supervisor")["commands"])
        self.frames = Publisher(self.context, base + "frames", "frames", graph.outputs("capture")["frames"])
        self.seeds = Publisher(self.context, base + "seeds", "seeds", graph.outputs("decoder")["seeds"])
        edge = next(e for e in graph.inputs("decoder") if e.topic == "tracks")
        self.tracks_in = Subscriber(self.context, base + "tracks", edge)
        self.reports, self.tracks, self.error = [], [], None

        def run():
            try:
                run_stage(make_stage, "tracker", self.config, graph, base, self.context, self.stop)
            except Exception as error:
                self.error = error

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def until(self, condition):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, (self.reports, self.tracks)
            for publisher in (self.commands, self.frames, self.seeds):
                publisher.pump()
            self.tracks_in.ask()
            if (message := self.tracks_in.take()) is not None:
                self.tracks.append(message)
            while (report := self.reports_in.take()) is not None:
                self.reports.append(report)
            time.sleep(0.001)

    def heard(self, kind):
        return [r for r in self.reports if isinstance(r, kind)]

    def close(self):
        self.stop.set()
        self.thread.join(PATIENCE_S)
        for socket in (self.commands, self.frames, self.seeds, self.tracks_in):
            socket.close()
        self.reports_in.close()
        self.context.close()


@pytest.fixture
def world():
    worlds = []

    def make(make_stage):
        worlds.append(World(make_stage))
        return worlds[-1]

    yield make
    for each in worlds:
        each.close()


@pytest.fixture
def recording(world):
    stages = []
    each = world(lambda config, node: stages.append(Recording(node)) or stages[0])
    each.until(lambda: each.heard(Hello))
    return each, stages[0]


def test_no_message_is_taken_before_the_start_command(recording):
    w, stage = recording
    w.frames.send(frame(1))
    w.commands.send(Pause())
    w.until(lambda: "Pause" in stage.events)
    assert 1 not in stage.events
    w.commands.send(Start())
    w.until(lambda: len(w.tracks) == 1)
    assert stage.events == ["Pause", "Start", 1]


def test_a_frame_that_a_stage_lets_go_is_no_step(recording):
    w, stage = recording
    stage.lets_go = (1,)
    w.commands.send(Start())
    for i in range(3):
        w.frames.send(frame(i))
    w.until(lambda: [t.frame.stamp.frame_id for t in w.tracks] == [0, 2])
    w.until(lambda: w.heard(Health)[-1:] and w.heard(Health)[-1].steps == 2)
    assert w.heard(Health)[-1].progress == Progress(frame_id=7, counters={"tracked": 3})


def test_seeds_are_no_steps_of_the_feed_and_come_while_frames_are_not_wanted(recording):
    w, stage = recording
    stage.wanted = False
    w.commands.send(Start())
    w.frames.send(frame(0))
    w.seeds.send(Seeds(frame_id=0, epoch=0, size=(4, 4)))
    w.until(lambda: "seeds" in stage.events)
    assert 0 not in stage.events
    w.until(lambda: len(w.heard(Health)) > 1)
    assert w.heard(Health)[-1].steps == 0


def test_the_end_of_the_feed_is_passed_on_once_after_the_stage_has_finished(recording):
    w, stage = recording
    w.commands.send(Start())
    w.frames.send(frame(0))
    w.frames.send(End())
    w.until(lambda: len(w.tracks) == 2 and w.heard(Done))
    assert stage.events == ["Start", 0, "finish"]
    assert isinstance(w.tracks[-1], End)
    assert len(w.heard(Done)) == 1


def test_a_stop_command_ends_the_node_which_tells_its_last_numbers(recording):
    w, stage = recording
    w.commands.send(Stop())
    w.until(lambda: not w.thread.is_alive())
    w.until(lambda: w.heard(Health) and w.heard(Health)[-1].progress.phase == "stopped")
    assert stage.events[-1] == "close"
    assert w.heard(Health)[-1].progress.counters == {"tracked": 3}
    assert w.error is None


def test_a_stage_that_cannot_be_made_is_reported_with_its_exit_code(world):
    def broken(config, node):
        raise SourceError("no camera there; plug one in")

    w = world(broken)
    w.until(lambda: w.heard(Failure))
    assert w.heard(Failure) == [
        Failure(node="tracker", pid=w.heard(Failure)[0].pid, message="no camera there; plug one in", exit_code=3)
    ]
    w.until(lambda: not w.thread.is_alive())
    assert isinstance(w.error, SourceError)


def test_commands_are_structs_that_a_stage_can_match():
    assert len({kind.schema for kind in COMMANDS}) == len(COMMANDS)
    assert Frame.schema not in {kind.schema for kind in COMMANDS}
