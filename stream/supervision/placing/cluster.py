"""Places processes on the hosts of a Ray cluster, and carries them there: requests for places out, processes in.

Ray chooses hosts, and nothing else: whether a process lives is told by the heartbeats of its nodes and by its agent. A
process that has ended is restarted by its agent, without Ray; one whose host is silent gets a place elsewhere.
"""

from __future__ import annotations

import logging
import math
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stream.console.logs import about_camera
from stream.errors import SourceError
from stream.settings.config import Graph, Placement
from stream.supervision.placing.agent_links import AgentLinks
from stream.supervision.placing.driver import Driver, RayConnection
from stream.supervision.placing.link_messages import Alive, Ended, Kill, Line, Run, Started, Tell, Terminate
from stream.supervision.placing.place import Place
from stream.supervision.placing.placed_process import PlacedProcess

log = logging.getLogger(__name__)

PROJECT = Path(__file__).resolve().parents[3]

SILENT_S = 2.0  # an agent that has said nothing for so long can't be asked to kill its process: its host is given up
LOST_S = 5.0  # an agent that has said nothing for so long is gone
KILL_S = 1.0  # until a process that its agent was told to kill has ended
IDLE_S = 1.0  # until a place is given back whose process has ended: it may be restarted there
AVOID_S = 30.0  # for so long no place is taken on a host that was given up: Ray notices within 15 s
CONNECT_S = 15.0  # until an agent that was started has connected


class Cluster:
    """The places of a run."""

    def __init__(
        self,
        links: AgentLinks,
        graph: Graph,
        write_line: Callable[[str], None],
        start_driver: Callable[[str], Driver] = Driver,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._graph = graph
        self._write_line = write_line
        self._clock = clock
        self._links = links
        self._ray = RayConnection(graph.cluster, graph.place_within_s, start_driver, clock)
        self._places: dict[str, Place] = {}  # by the name of the agent
        self._placed_before: set[str] = set()  # names of processes
        self._avoid: dict[str, float] = {}  # node of the cluster -> until when
        self._launched = 0

    def launch(self, name: str, plan: str, needs: Placement) -> PlacedProcess:
        """Start a process of that name: where it ran last, if that host is there; else a place is asked for."""
        self._launched += 1
        process = PlacedProcess(name, self._launched, plan, self)
        place = next((p for p in self._places.values() if p.is_free and (p.name, p.needs) == (name, needs)), None)
        if place is None:
            place = self._want_place(name, needs)
        place.process, place.kill_by_s = process, math.inf
        if place.connected:
            self._run(place)
        return process

    # --- what a process is told (placed_process.Host) ---

    def tell(self, process: PlacedProcess, plan: str) -> None:
        """Write a plan to its input."""
        if (place := self._place_of(process)) is not None:
            self._links.send(place.agent, Tell(plan=plan))

    def terminate(self, process: PlacedProcess) -> None:
        """Ask it to stop; one that has no place yet needs none."""
        place = self._place_of(process)
        if place is None or not place.connected:
            process.end(0)
        else:
            self._links.send(place.agent, Terminate())

    def kill(self, process: PlacedProcess) -> None:
        """End it; where its agent can't, its place is given up."""
        place = self._place_of(process)
        if place is None or not place.connected:
            process.end(-signal.SIGKILL)
        elif self._clock() - place.heard_s > SILENT_S:
            self._give_up(place, "its host says nothing")
        else:
            self._links.send(place.agent, Kill())
            place.kill_by_s = self._clock() + KILL_S

    def let_go(self, process: PlacedProcess) -> None:
        """It has ended; its place is kept for a moment, in case that it is restarted."""
        place = self._place_of(process)
        if place is None:
            return
        place.process = None
        place.free_since_s = self._clock()
        if not place.connected:
            self._give_up(place, "")

    def _place_of(self, process: PlacedProcess) -> Place | None:
        return next((place for place in self._places.values() if place.process is process), None)

    # --- what has happened ---

    def update(self) -> None:
        """Take what agents and Ray say, and do what it is time for. Called in every round of the supervisor."""
        with about_camera(""):  # a round of one camera serves them all
            while (came := self._links.take()) is not None:
                agent, message = came
                if (place := self._places.get(agent)) is not None:
                    place.heard_s = self._clock()
                    self._on_message(place, message)
            self._ask_for_places()
            while (answer := self._ray.take()) is not None:
                self._on_answer(answer)
            for place in list(self._places.values()):
                self._watch(place)

    def _on_message(self, place: Place, message: Any) -> None:
        """An agent says something."""
        process = place.process
        match message:
            case Alive():
                if not place.connected:
                    place.connected, place.address = True, message.address
                    self._placed_before.add(place.name)
                    self._run(place)
                if not message.held and place.held:
                    place.held = False
                    if not self._ray.ask(is_head_there=place.agent):
                        self._on_head(place.agent, there=False)
            case Started() if process is not None and message.number == process.number:
                process.begin(message.pid, place.where)
                log.info("%s runs on %s, pid %d", place.name, place.address, message.pid)
            case Line():
                self._write_line(message.text)
            case Ended() if process is not None and message.number == process.number:
                place.kill_by_s = math.inf
                process.end(message.code)

    def _run(self, place: Place) -> None:
        if (process := place.process) is not None and not process.over:
            self._links.send(place.agent, Run(number=process.number, name=process.name, plan=process.plan))

    def _watch(self, place: Place) -> None:
        """Give up a place whose agent is gone or can't end its process, and one that nobody needs any more."""
        now_s = self._clock()
        if place.connected:
            if now_s - place.heard_s > LOST_S:
                self._give_up(place, f"its host has said nothing for {LOST_S:g} s")
            elif now_s > place.kill_by_s:
                self._give_up(place, f"its process could not be killed within {KILL_S:g} s")
        elif place.node and now_s - place.heard_s > CONNECT_S:
            self._refuse(place, f"its agent on {place.node[:8]} does not reach tcp://{self._graph.address}")
        if place.process is None and now_s - place.free_since_s > IDLE_S:
            self._give_up(place, "")

    def _give_up(self, place: Place, reason: str) -> None:
        """Forget a place: its agent is killed, and what ran there counts as killed. `reason`: what is wrong with it."""
        del self._places[place.agent]
        self._links.dismiss(place.agent)
        self._ray.ask(give_up=place.agent)
        if reason:
            log.warning("the place of %s on %s is given up: %s", place.name, place.address or "no host", reason)
            if place.node:
                self._avoid[place.node] = self._clock() + AVOID_S
        if place.process is not None:
            place.process.end(-signal.SIGKILL)

    # --- Ray ---

    def _ask_for_places(self) -> None:
        """Ask for the places that nobody has been asked for; join the cluster for it."""
        wanted = [place for place in self._places.values() if not place.asked and place.process is not None]
        if not wanted or not self._ray.join():
            return
        now_s = self._clock()
        self._avoid = {node: until_s for node, until_s in self._avoid.items() if until_s > now_s}
        for place in wanted:
            place.asked = True
            self._ray.ask(
                place=place.agent,
                needs=place.needs_of_ray,
                threads=place.threads,
                avoid=list(self._avoid),
                within_s=self._graph.place_within_s,
                start=self._start_of(place),
            )

    def _start_of(self, place: Place) -> dict[str, str]:
        """What an agent is told: no password and no source; those it gets over the link."""
        keys = str(Path(self._graph.keys).absolute()) if self._graph.keys else ""
        return {
            "endpoint": self._links.endpoint,
            "name": place.agent,
            "keys": keys,
            "project": str(PROJECT),
            "folder": str(Path.cwd()),
        }

    def _on_answer(self, answer: dict[str, Any]) -> None:
        match answer:
            case {"failed": name, "error": error}:
                if name in self._places:
                    self._refuse(self._places[name], error)
            case {"joined": address}:
                log.info("cameras are placed on the Ray cluster of %s", address)
                self._ask_for_places()
            case {"error": error}:  # nobody asks Ray any more: what it was asked for in vain is asked for again
                for place in [p for p in self._places.values() if not p.connected and not p.node]:
                    why = f"no Ray cluster gives it a place ({error}); docs/cluster.md says how to have one"
                    self._refuse(place, why)
            case {"placed": name, "node": node} if name in self._places:
                place = self._places[name]
                place.node, place.heard_s = node, self._clock()
                if place.process is not None and place.process.placed:  # its agent was quicker
                    place.process.where = place.where
            case {"waiting": name, "why": why} if name in self._places:
                within_s = self._graph.place_within_s
                self._refuse(self._places[name], f"no host of the cluster has had room within {within_s:g} s: {why}")
            case {"reached": node}:
                self._on_reached(node)
            case {"head": name, "there": there}:
                self._on_head(name, there=there)

    def _refuse(self, place: Place, why: str) -> None:
        """There is no place. A process that is new has failed; another one goes on waiting, and is asked for again."""
        process, place.process = place.process, None
        self._give_up(place, "")
        if process is None or process.over:
            return
        if place.name not in self._placed_before:
            process.end(SourceError.exit_code, SourceError(f"{place.name} can't be placed: {why}"))
            return
        log.warning("%s has no place yet: %s", place.name, why, extra={"once_key": f"no place {place.name}"})
        self._want_place(place.name, place.needs).process = process

    def _on_reached(self, node: str) -> None:
        """A host that was given up lives: only the agent there was stuck. It may be asked again at once."""
        if self._avoid.pop(node, None) is not None:
            for place in [p for p in self._places.values() if p.asked and not p.node and not p.connected]:
                process, place.process = place.process, None
                self._give_up(place, "")
                self._want_place(place.name, place.needs).process = process

    def _want_place(self, name: str, needs: Placement) -> Place:
        """A place that is to be asked for."""
        place = Place(name, needs, f"{name}-{secrets.token_hex(8)}", self._clock())
        self._places[place.agent] = place
        self._links.expect(place.agent)
        return place

    def _on_head(self, name: str, *, there: bool) -> None:
        """Ray has ended an actor of ours: because of its host, or because its head is gone."""
        if (place := self._places.get(name)) is None:
            return
        if there:
            self._give_up(place, "Ray no longer holds it")
        else:
            log.warning("Ray's head is gone: %s goes on without it on %s", place.name, place.address)

    def close(self) -> None:
        """Have all agents leave, and let go of Ray."""
        for place in self._places.values():
            if not place.connected:
                self._ray.ask(give_up=place.agent)
        self._links.close()
        self._ray.close()
