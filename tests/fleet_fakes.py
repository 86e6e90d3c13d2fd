"""A run of several cameras over fake sockets and processes, on a clock of the test's own."""

from __future__ import annotations

from supervision_fakes import FakeConnections, FakeRunning

from stream.settings.cameras import common_config
from stream.settings.presets import build
from stream.supervision.fleet.camera_run import CameraRun
from stream.supervision.fleet.cameras import Cameras
from stream.supervision.fleet.clients import ClientsOfSeveral, RunClients
from stream.supervision.fleet.common_nodes import CommonNodes
from stream.supervision.fleet.membership import Membership
from stream.supervision.fleet.node_group import NodeHost
from stream.supervision.launching import nodes_by_process
from stream.topology import common_wiring, wiring


class FakeMaker:
    """Makes groups of nodes whose sockets and processes are fakes."""

    def __init__(self, clock):
        self.clock = clock
        self.clients = RunClients(FakeConnections())
        self.sockets = {}  # by camera; "" has those of all
        self.launched = []

    def host(self, name, config, graph):
        sockets = self.sockets[name] = FakeConnections()
        sockets.base = f"ipc:///run/{name}/"
        return NodeHost(sockets, nodes_by_process(config, graph), self.launch, lambda *a: a[2], self.clock)

    def launch(self, name, config, graph, stages):
        running = FakeRunning(name)
        running.config = config
        running.plans = []
        running.restart_nodes = running.plans.append
        running.terminate = lambda: setattr(running, "code", 0)
        self.launched.append(running)
        return running

    def camera(self, config, prompts=(), *, in_fleet=False):
        graph = wiring(config, in_fleet=in_fleet)
        host = self.host(config.capture.camera, config, graph)
        return CameraRun(config, graph, prompts, None, host, ClientsOfSeveral(self.clients))

    def common_config(self, config):
        own = common_config(config)
        return own, common_wiring(own)

    def common_nodes(self, config):
        own, graph = self.common_config(config)
        return CommonNodes(own, graph, self.host("", own, graph))

    def with_bound_endpoints(self, config):
        return config

    def make_no_more(self):
        pass

    def close(self):
        pass


def make_config(*names, cameras=None, **sections):
    return build({**sections, "cameras": cameras or {name: {} for name in names}})


class Fleet:
    """The cameras of a config; `read` is what a reload reads."""

    def __init__(self, *names, **sections):
        self.now_s = 100.0
        self.read = make_config(*names, **sections)
        self.maker = FakeMaker(lambda: self.now_s)
        self.cameras = Cameras(self.read, self.maker, self.maker.clients, lambda: self.now_s)
        self.membership = Membership(self.cameras, self.read_again, self.check)
        self.checked = []
        self.cameras.make([])
        self.cameras.start()

    def read_again(self):
        if isinstance(self.read, Exception):
            raise self.read
        return self.read

    def check(self, config, where):
        assert where == f"cameras.{config.capture.camera}: "
        self.checked.append(config.capture.camera)

    def rounds(self, count=3):
        for _ in range(count):
            self.now_s += 0.05
            self.cameras.serve()
            self.cameras.watch()

    def running(self, name):
        """The newest process of that name."""
        return [process for process in self.maker.launched if process.name == name][-1]

    def sent(self, name, kind):
        return [command for _, command in self.maker.sockets[name].sent if isinstance(command, kind)]
