"""A session without a supervisor, a supervisor without sockets and processes, and reports, for tests."""

from __future__ import annotations

import json
import signal
from collections import deque

import numpy as np

from stream.commands import GivePrompt, RemoveObject
from stream.messages import Prompt
from stream.reports import Found, Health, Opened, Progress, Proposal
from stream.settings.presets import load
from stream.supervision.actions import EndRun, Outbox, SaveJournal, SendCommand, SendReply
from stream.supervision.control import CameraRequests, RequestHandler
from stream.supervision.journal import from_journal
from stream.supervision.registry import Registry
from stream.supervision.session import Session
from stream.topology import wiring

SIZE = (40, 60)


def config_of(**keys):
    return load("lite", {key.replace("__", "."): value for key, value in keys.items()})


class SessionUnderTest:
    """A session and its request handler; each method below takes what the outbox holds of one kind."""

    def __init__(self, prompts=(), journal="", **keys):
        config = config_of(**keys)
        self.outbox = Outbox()
        registry = from_journal(journal) if journal else Registry()
        self.session = Session(config, wiring(config), list(prompts), registry, self.outbox)
        self.waiting_prompts = 0
        self.requests = CameraRequests(self.session, self.outbox, self.summary, lambda: self.waiting_prompts)
        self.cameras = {config.capture.camera: self}
        self.is_fleet = False
        self.handler = RequestHandler(self, self.outbox, config.control)

    def summary(self):
        return {"frames": {"captured": 3}}

    def stop(self):
        self.session.end_run()

    def actions(self, kind):
        """The actions of a kind since the last call; those of other kinds are dropped."""
        return [a for a in self.outbox.take() if isinstance(a, kind)]

    def commands(self):
        """(node, kind of command), prompts and removals with their object's id as well."""
        return [(a.node, *_described(a.command)) for a in self.actions(SendCommand)]

    def journals(self):
        return [a.contents for a in self.actions(SaveJournal)]

    def ends(self):
        return [a.error for a in self.actions(EndRun)]

    def replies(self):
        return [json.loads(a.body) for a in self.actions(SendReply)]

    def request(self, method, params=None, request_id=7, now_s=0.0):
        """The result or the error of the one reply to a request; commands stay in the outbox."""
        request = {"id": request_id, "method": method, **({} if params is None else {"params": params})}
        actions = self.serve([json.dumps(request).encode()], now_s=now_s)
        (reply,) = [json.loads(a.body) for a in actions if isinstance(a, SendReply)]
        assert reply["id"] == request_id
        for action in actions:
            if not isinstance(action, SendReply):
                self.outbox.put(action)
        return reply.get("result", reply.get("error"))

    def serve(self, parts, now_s=0.0, address=(b"client",)):
        """Everything in the outbox after a request."""
        self.handler.serve(address, parts, now_s)
        return self.outbox.take()


def _described(command):
    if isinstance(command, GivePrompt):
        return type(command), command.prompt.object_id
    if isinstance(command, RemoveObject):
        return type(command), command.object_id
    return (type(command),)


def opened(**values):
    return Opened(node="capture", pid=1, size=SIZE, **{"fps": 20.0, **values})


def boxed(object_id, box=(1, 1, 20, 20)):
    return Prompt(object_id=object_id, box=box)


def health(node="tracker", frame_id=-1, counters=None, gauges=None, phase="running", **values):
    progress = Progress(phase=phase, frame_id=frame_id, counters=counters or {}, gauges=gauges or {})
    return Health(node=node, pid=1, progress=progress, **values)


def found(*boxes, size=SIZE, requested=True, frame_id=5, count=0):
    objects = [
        Proposal(bbox=box, bits=np.full((box[2] * box[3] + 7) // 8, 255, np.uint8), score=0.9, inside=(box[0], box[1]))
        for box in boxes
    ]
    return Found(
        node="decoder",
        pid=1,
        frame_id=frame_id,
        requested=requested,
        count=count,
        size=size,
        objects=tuple(objects),
    )


class FakeRunning:
    """A process that ends when a test says so, or when it is killed."""

    def __init__(self, name):
        self.name, self.pid = name, 7
        self.code = None
        self.error = None
        self.placed, self.where = True, {}
        self.calls = []

    def exit_code(self):
        return self.code

    def terminate(self):
        self.calls.append("terminate")

    def kill(self):
        self.calls.append("kill")
        self.code = -signal.SIGKILL

    def close(self):
        self.calls.append("close")


class FakeConnections:
    """Sockets of a supervisor and of the nodes of one graph.

    Each wait plays the next act of a script and passes a moment; after the last comes the end.

    An act is a list of reports, or a function that does anything else.
    """

    def __init__(self):
        self.now_s = 100.0
        self.script = []
        self.reports = deque()
        self.masks = None
        self.asked_for_masks_s = []
        self.requests = []
        self.sent = []
        self.replies = []
        self.expected = []
        self.supervisor = None
        self.announced = self.closed = False
        self.publisher_endpoints = []
        self.control_endpoint = self.publish_endpoint = self.base = ""
        self.ready = True

    def clock(self):
        return self.now_s

    def announce(self, config):
        self.announced = True

    def announce_publisher(self, endpoint):
        self.publisher_endpoints.append(endpoint)

    def keep_announced(self):
        pass

    def wait(self, timeout_ms):
        self.now_s += timeout_ms / 1000
        if not self.script:
            self.supervisor.stop()
            return
        act = self.script.pop(0)
        if callable(act):
            act()
        else:
            self.reports.extend(act)

    def wake(self):
        pass

    def take_report(self):
        return self.reports.popleft() if self.reports else None

    def ask_for_masks(self):
        self.asked_for_masks_s.append(self.now_s)

    def take_masks(self):
        masks, self.masks = self.masks, None
        return masks

    def take_requests(self, most):
        while self.requests:
            yield (b"client",), self.requests.pop(0)

    def send(self, node, command):
        self.sent.append((node, command))

    def waiting(self, node):
        return 0

    def send_commands(self):
        pass

    def expect(self, node, incarnation):
        self.expected.append((node, incarnation))

    def reply(self, address, body):
        self.replies.append((address, json.loads(body)))

    @property
    def malformed(self):
        return {"reports": 2, "commands": 1}

    def refused(self):
        return {"keys": 1, "connections": 0}

    def close(self, in_use=None):
        self.closed = True
        if in_use is not None:  # it closes the run's sockets, not those to the nodes
            self.left_in_use = in_use


class SilentDashboard:
    """A dashboard that nobody sees."""

    def write_line(self, line):
        pass

    def update(self, summary):
        self.newest = summary()
