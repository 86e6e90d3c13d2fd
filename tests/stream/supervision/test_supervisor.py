"""The loop, with fakes for its sockets and processes and on a clock of the test's own."""

from __future__ import annotations

import logging
import signal

import pytest
from builders import masks, object_mask
from supervision_fakes import SIZE, FakeConnections, FakeRunning, SilentDashboard, boxed, config_of, health, opened

from stream.commands import DecoderRestarted, GivePrompt, Pause, PublishStatus, Start, StartTracker, Stop, TakeSnapshot
from stream.errors import NodeError, SourceError, StreamError
from stream.reports import Answer, Bound, Done, Failure, Health, Hello
from stream.supervision.fleet.camera_run import OBSERVE_S, STATUS_S, CameraRun
from stream.supervision.fleet.cameras import Cameras
from stream.supervision.fleet.clients import RunClients
from stream.supervision.fleet.node_group import NodeHost
from stream.supervision.journal import Journal
from stream.supervision.launching import nodes_by_process
from stream.supervision.supervisor import REQUESTS_S, Supervisor
from stream.topology import SUPERVISOR, wiring


class NoMaker:
    """Makes no further cameras."""

    def make_no_more(self):
        pass

    def close(self):
        pass


class Run:
    """A supervisor over fakes; `script` is what happens in its rounds."""

    def __init__(self, *script, prompts=(), journal=None, **keys):
        self.config = config_of(**keys)
        self.connections = FakeConnections()
        self.connections.script = list(script)
        self.launched = []
        graph, clients, clock = wiring(self.config), RunClients(self.connections), self.connections.clock
        host = NodeHost(self.connections, nodes_by_process(self.config, graph), self.launch, self.plan, clock)
        self.cameras = Cameras(self.config, NoMaker(), clients, clock=clock)
        self.camera = CameraRun(self.config, graph, list(prompts), journal, host, clients)
        self.cameras.cameras["camera"] = self.camera
        self.supervisor = Supervisor(
            self.config, self.cameras, clients, self.connections, SilentDashboard(), self.cameras, clock
        )
        self.connections.supervisor = self.supervisor

    def launch(self, name, config, graph, stages):
        process = FakeRunning(name)
        process.terminate = lambda: ending(process)
        self.launched.append(process)
        return process

    def plan(self, config, graph, stages):
        return stages

    def named(self, name):
        return [p for p in self.launched if p.name == name]

    def sent(self, kind):
        """The nodes that got a command of a kind, in order."""
        return [node for node, command in self.connections.sent if isinstance(command, kind)]

    def run(self):
        self.supervisor.run()
        return self


def ending(process):
    process.calls.append("terminate")
    process.code = 0


def hello(node, incarnation=b"12345678"):
    return Hello(node=node, pid=3, incarnation=incarnation)


def test_every_process_is_started_and_told_to_stop_at_the_end():
    run = Run().run()
    assert [p.name for p in run.launched] == ["capture", "tracker", "decoder", "renderer", "publisher"]
    assert all(p.calls == ["terminate", "close"] for p in run.launched)
    assert run.sent(Stop) == [p.name for p in run.launched]
    assert (run.connections.announced, run.connections.closed) == (True, True)


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ({"graph__processes": "camera", "capture__camera": "door"}, ["door"]),
        ({"supervisor__threads": True}, ["capture", "tracker", "decoder", "renderer", "publisher"]),
    ],
)
def test_nodes_share_a_process_or_have_a_thread_each_as_the_config_says(keys, names):
    run = Run(**keys).run()
    assert [p.name for p in run.launched] == names
    assert {n for p in run.camera.processes for n in (node.name for node in p.nodes)} == set(run.camera.nodes)


def test_a_node_that_says_hello_gets_the_commands_of_this_incarnation():
    run = Run([hello("tracker")], [opened()], prompts=[boxed(1)]).run()
    assert run.connections.expected == [("tracker", b"12345678")]
    assert [type(c) for n, c in run.connections.sent if n == "tracker"] == [GivePrompt, StartTracker, Stop]


@pytest.mark.parametrize(("endpoint", "lines"), [("tcp://127.0.0.1:0", 1), ("tcp://127.0.0.1:5556", 0), ("", 0)])
def test_tools_are_told_where_the_publisher_is_bound_and_the_log_if_the_system_chose(endpoint, lines, caplog):
    caplog.set_level(logging.INFO)
    bound = Bound(node="publisher", pid=1, endpoint="tcp://127.0.0.1:40001")
    run = Run([bound], publisher__endpoint=endpoint).run()
    assert run.connections.publisher_endpoints == ["tcp://127.0.0.1:40001"]
    assert caplog.text.count("masks are published at tcp://127.0.0.1:40001") == lines


def test_the_run_ends_when_the_sinks_have_seen_the_end_of_the_feed(caplog):
    caplog.set_level(logging.INFO)
    script = [Done(node="renderer", pid=1)], [Done(node="publisher", pid=1)], [hello("renderer")]  # that is too late
    run = Run(*script, renderer__record="x.mp4").run()
    assert "the feed has ended" in caplog.text
    assert run.supervisor.error is None
    assert run.connections.script == [[hello("renderer")]]


def test_who_was_refused_by_the_supervisor_or_a_node_is_told():
    beat = Health(node="publisher", pid=1, refused_keys=2, refused_connections=3)
    run = Run([hello("publisher")], [beat]).run()
    assert run.supervisor.summary()["refused"] == {"keys": 1 + 2, "connections": 3, "requests": 0}


def test_a_node_that_gives_up_ends_the_run_with_its_error_and_exit_code():
    run = Run([Failure(node="capture", pid=1, message="no camera", exit_code=3)], [])
    with pytest.raises(StreamError, match="no camera") as error:
        run.run()
    assert error.value.exit_code == 3
    assert all(p.calls[-1] == "close" for p in run.launched)


def test_the_first_error_counts():
    failures = [Failure(node="capture", pid=1, message=text, exit_code=3) for text in ("first", "second")]
    with pytest.raises(StreamError, match="first"):
        Run(failures).run()


def test_reports_of_nodes_that_there_are_not_are_counted():
    run = Run([hello("capture"), hello("visitor"), hello(SUPERVISOR)]).run()
    assert run.supervisor.summary()["malformed"]["reports"] == 2 + 2


# --- restarts ---


def ends(run, name, code):
    """An act: the newest process of a name ends with an exit code."""

    def act():
        run.named(name)[-1].code = code

    return act


def test_a_process_that_dies_is_restarted_and_its_node_told_where_to_begin(caplog):
    run = Run()
    run.connections.script = [
        [hello("decoder")],
        ends(run, "decoder", -signal.SIGKILL),
        [hello("decoder", b"87654321")],
    ]
    run.run()
    assert "decoder was killed by SIGKILL; it is restarted (restart 1)" in caplog.text
    assert len(run.named("decoder")) == 2
    assert [c for n, c in run.connections.sent if n == "decoder"] == [Start(), Start(restarts=1), Stop()]
    assert run.sent(DecoderRestarted) == ["tracker"]
    assert run.supervisor.summary()["nodes"]["decoder"]["restarts"] == 1


def test_a_process_with_several_nodes_is_restarted_as_a_whole(caplog):
    run = Run(graph__processes="camera", capture__camera="door")
    hellos = [hello(n) for n in run.camera.nodes]
    run.connections.script = [[*hellos, opened()], ends(run, "door", 1), hellos]
    run.run()
    assert "door ended with exit code 1; it is restarted (restart 1)" in caplog.text
    assert len(run.launched) == 2
    restarts = {n: v["restarts"] for n, v in run.supervisor.summary()["nodes"].items() if n != SUPERVISOR}
    assert restarts == dict.fromkeys(run.camera.nodes, 1)
    assert run.sent(StartTracker) == ["tracker", "tracker"]


def test_a_silent_node_is_ended_and_restarted(caplog):
    run = Run([hello("tracker")], *[[health(n) for n in ("capture", "decoder", "renderer", "publisher")]] * 63)
    run.run()
    assert "tracker has been silent for 3.0 s; it is ended and restarted" in caplog.text
    assert len(run.named("tracker")) == 2


def test_a_node_that_dies_again_and_again_ends_the_run():
    run = Run(supervisor__max_restarts=1)
    run.connections.script = [ends(run, "decoder", 1), [], ends(run, "decoder", -signal.SIGSEGV), [], []]
    with pytest.raises(NodeError, match="decoder was killed by SIGSEGV for more than the 1 times in 60 s") as error:
        run.run()
    assert error.value.exit_code == 1
    assert len(run.named("decoder")) == 2


def test_restarts_long_ago_are_forgiven():
    run = Run(supervisor__max_restarts=1)

    def pass_a_minute():
        run.connections.now_s += 60
        run.connections.reports.extend(health(n) for n in run.camera.nodes)

    run.connections.script = [ends(run, "decoder", 1), pass_a_minute, ends(run, "decoder", 1), []]
    run.run()
    assert len(run.named("decoder")) == 3


def test_what_a_dying_node_reported_last_is_taken_before_it_is_restarted():
    run = Run()

    def die():
        run.named("capture")[-1].code = 3
        run.connections.reports.append(Failure(node="capture", pid=1, message="no camera", exit_code=3))

    run.connections.script = [die]
    with pytest.raises(StreamError, match="no camera"):
        run.run()
    assert len(run.named("capture")) == 1


def test_a_thread_that_fails_ends_the_run_with_its_error():
    run = Run(supervisor__threads=True)

    def fail():
        run.named("capture")[-1].error = SourceError("no camera")
        run.named("capture")[-1].code = 3

    run.connections.script = [fail]
    with pytest.raises(SourceError, match="no camera"):
        run.run()


@pytest.mark.parametrize("stops", [True, False])
def test_the_sockets_of_a_thread_that_does_not_stop_are_not_closed_under_it(stops):
    run = Run(supervisor__threads=True, supervisor__stop_timeout_s=0.1)

    def stall():
        if not stops:
            run.named("decoder")[-1].terminate = run.named("decoder")[-1].kill = lambda: None

    run.connections.script = [stall]
    run.run()
    assert run.connections.left_in_use is not stops


def test_a_thread_that_ends_is_not_restarted():
    run = Run(supervisor__threads=True)
    run.connections.script = [ends(run, "tracker", 1)]
    with pytest.raises(NodeError, match=r"^tracker ended with exit code 1; the run is over$"):
        run.run()
    assert len(run.named("tracker")) == 1


def test_a_host_that_lends_its_nodes_is_done_when_they_have_ended():
    endpoints = {t: f"tcp://127.0.0.1:{7000 + i}" for i, t in enumerate(("frames", "tracks", "seeds", "commands"))}
    run = Run(graph__run=["tracker"], graph__host=False, graph__endpoints=endpoints)
    run.connections.script = [[], ends(run, "tracker", 0), *[[]] * 50]
    run.run()
    assert [p.name for p in run.launched] == ["tracker"]
    assert len(run.connections.script) == 50  # nothing waited for them
    assert run.connections.sent == []


# --- masks, requests, status, the journal ---


def test_masks_are_asked_for_a_few_times_a_second():
    run = Run()

    def publish():
        run.connections.masks = masks(5, object_mask(1, (3, 4, 5, 6)), size=SIZE)

    run.connections.script = [publish, *[[]] * 8]
    run.run()
    first, *others = run.connections.asked_for_masks_s
    assert min(others) - first >= OBSERVE_S


def test_a_request_gets_its_reply_and_its_command():
    run = Run([opened()])
    run.connections.requests = [[b'{"id": 1, "method": "pause"}'], [b"nonsense"]]
    run.run()
    ((address, reply), (_, refusal)) = run.connections.replies
    assert (address, reply) == ((b"client",), {"id": 1, "result": {"paused": True}})
    assert refusal["error"]["code"] == "bad_request"
    assert run.sent(Pause) == ["capture"]
    assert run.supervisor.summary()["malformed"]["control"] == 1


def test_a_client_that_waits_for_a_snapshot_gets_the_answer_of_the_renderer():
    run = Run([opened()])

    def request():
        run.connections.requests.append([b'{"id": 1, "method": "snapshot"}'])

    run.connections.script += [request, [Answer(node="renderer", pid=1, request=1, result={"picture": "a.png"})], []]
    run.run()
    assert run.sent(TakeSnapshot) == ["renderer"]
    assert [reply for _, reply in run.connections.replies] == [{"id": 1, "result": {"picture": "a.png"}}]


def test_the_summary_answers_stats():
    run = Run([health("decoder", counters={"decoded": 8})])
    run.connections.requests = [[b'{"id": 1, "method": "stats"}']]
    run.run()
    ((_, reply),) = run.connections.replies
    assert reply["result"]["frames"]["decoded"] == 8


def test_requests_that_take_long_leave_the_nodes_their_turn():
    run = Run([], [], [])
    run.connections.requests = [[b'{"id": 1, "method": "stats"}']] * 7
    replied = []  # when each of them was served, in rounds

    def slow_summary():
        run.connections.now_s += REQUESTS_S * 0.6
        replied.append(len(run.connections.asked_for_masks_s))
        return {}

    run.camera.summary = slow_summary
    run.supervisor._dashboard.update = lambda summary: None
    run.run()
    assert replied == [1, 1, 2, 2, 3, 3, 4]


def test_the_status_is_published_once_a_second_when_there_is_a_publisher():
    run = Run(*[[]] * 10, [hello("publisher")], *[[health("publisher")]] * 30)
    run.run()
    assert run.sent(PublishStatus) == ["publisher"] * (1 + int(30 * 0.05 / STATUS_S))


def test_the_journal_is_written_and_brings_the_objects_back(tmp_path):
    journal = Journal(tmp_path / "gate.json")
    keys = {"supervisor__journal": str(journal.path), "journal": journal}
    Run([opened()], prompts=[boxed(4)], **keys).run()
    again = Run(**keys)
    assert [o["id"] for o in again.supervisor.summary()["objects"]] == [4]


def test_a_journal_that_can_not_be_written_is_a_warning(tmp_path, caplog):
    journal = Journal(tmp_path / "gone" / "gate.json")
    run = Run([opened()], [], supervisor__journal=str(journal.path), journal=journal)
    run.run()
    assert run.camera._signs(0.0).journal_failed
    assert "can't be written: No such file or directory" in caplog.text
