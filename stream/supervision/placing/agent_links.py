"""The supervisor's links to its agents, on a thread of their own: they hear of us while the supervisor is busy."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import cast

from stream.supervision.placing.link_messages import TO_SUPERVISOR, Leave, Present, ToAgent, ToSupervisor
from stream.transport.links import LinkServer
from stream.transport.sockets import Context

TICK_MS = 20
PRESENT_S = 1.0


class AgentLinks:
    """Messages of agents in, messages to them out; an agent that nobody expects is sent away."""

    def __init__(self, context: Context, endpoint: str) -> None:
        """ConfigError where the endpoint can't be bound."""
        self._server = LinkServer(context, endpoint, TO_SUPERVISOR)
        self.endpoint = self._server.endpoint
        self._came: deque[tuple[str, ToSupervisor]] = deque()
        self._out: dict[str, deque[ToAgent]] = {}  # by agent, from when it is expected until it is dismissed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="agents", daemon=True)
        self._thread.start()

    def expect(self, agent: str) -> None:
        """An agent of that name is going to connect."""
        self._out[agent] = deque()

    def dismiss(self, agent: str) -> None:
        """Have an agent leave; whatever it still says is not taken."""
        self._out.pop(agent, None)

    def send(self, agent: str, message: ToAgent) -> None:
        """Send to an agent, as soon as it is connected."""
        if (queue := self._out.get(agent)) is not None:
            queue.append(message)

    def take(self) -> tuple[str, ToSupervisor] | None:
        """The next message of an agent, and its name."""
        return self._came.popleft() if self._came else None

    def _serve(self) -> None:
        present_at_s, connected = 0.0, set[str]()
        while not self._stop.is_set():
            self._server.wait(TICK_MS)
            while (came := self._server.take()) is not None:
                agent, message = came
                connected.add(agent)
                if agent in self._out:
                    self._came.append((agent, cast(ToSupervisor, message)))
            for agent in [a for a in connected if a not in self._out]:
                self._server.send(agent, Leave())
                connected.discard(agent)  # should it not have got it, it says that it is alive, and is told again
            for agent in connected:
                queue = self._out.get(agent, deque())
                while queue and self._server.send(agent, queue[0]):
                    queue.popleft()
            if time.monotonic() >= present_at_s:
                present_at_s = time.monotonic() + PRESENT_S
                for agent in connected:
                    self._server.send(agent, Present())
        for agent in connected:
            self._server.send(agent, Leave())
        self._server.close()

    def close(self) -> None:
        """Have all agents leave."""
        self._stop.set()
        self._thread.join()
