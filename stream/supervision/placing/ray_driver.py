"""`python -m stream.supervision.placing.ray_driver CLUSTER`: asks a Ray cluster for places. Ray enters here alone.

It is a process of its own, because Ray ends the process that has called it once the cluster's head has been gone for a
minute. Requests come on the standard input, a line of JSON each, and answers go out likewise:

    {"place": NAME, "needs": {"num_cpus", "num_gpus", "resources"}, "threads", "avoid": [NODE], "within_s", "start"}
        -> {"placed": NAME, "node", "pid"} or {"failed": NAME, "error"}, or after `within_s` {"waiting": NAME, "why"}
    {"give_up": NAME}        the place is no longer wanted: its agent is killed, and its actor
        -> {"reached": NODE}, if the actor could do it: then its host lives
    {"is_head_there": NAME}  -> {"head": NAME, "there"}

The first answer is {"joined": ADDRESS} or {"error"}. An actor holds a camera's share of a host. It starts an agent
there, which runs the camera, and ends when the agent does; it is detached, so that it outlives this process.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import socket
import sys
import threading
from typing import Any

os.environ.setdefault("RAY_AUTH_MODE", "token")  # read when ray is imported, as is the next
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray

NAMESPACE = "sam-pt-live"
TICK_S = 0.25  # how soon a request that is given up is seen
HEAD_S = 2.0  # until a head that does not answer counts as gone
GIVE_UP_S = 2.0  # for an actor that is asked to kill its agent


class Holder:
    """The actor. It is sent to its host by value: nothing of it may need a module of ours."""

    def __init__(self) -> None:
        self._pid = 0

    def start(self, start: dict[str, Any], threads: int) -> dict[str, Any]:
        """Start the agent; its answer, with the id of the node."""
        import os
        import subprocess
        import sys
        import threading

        project = start["project"]
        if not os.path.isdir(project):
            return {"error": f"there is no folder {project} on the host {os.uname().nodename}: put the project there"}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        # Ray sets OMP_NUM_THREADS to the actor's share, but to 1 where that is less
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), str(threads))
        environment |= {"OPENCV_FOR_THREADS_NUM": str(threads), "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": project}
        folder = start["folder"] if os.path.isdir(start["folder"]) else project
        first = subprocess.Popen(
            [sys.executable, "-P", "-m", "stream.supervision.placing.agent"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
        self._stdin = first.stdin  # stays open: that it closes tells the agent of our end
        assert first.stdin
        assert first.stdout
        first.stdin.write(json.dumps(start).encode() + b"\n")
        first.stdin.flush()
        first.wait()
        lines = []
        for line in iter(first.stdout.readline, b""):
            lines.append(line.decode(errors="replace").strip())
            if line.startswith(b"{"):
                break
        try:
            answer: dict[str, Any] = json.loads(lines[-1])
        except (IndexError, ValueError):
            return {"error": f"no agent starts on the host {os.uname().nodename}: {' '.join(lines)[-500:]}"}
        if "pid" in answer:
            self._pid = answer["pid"]
            output = first.stdout

            def end_with_agent() -> None:
                output.read()
                os._exit(0)  # and the share of the host is free again

            threading.Thread(target=end_with_agent, daemon=True).start()
        return {**answer, "node": ray.get_runtime_context().get_node_id()}

    def kill_agent(self) -> str:
        """Kill the agent and what it runs, even where they are stopped; the id of the node."""
        import os
        import signal

        def processes() -> Any:
            for entry in os.listdir("/proc"):
                if entry.isdigit():
                    try:
                        with open(f"/proc/{entry}/stat") as stat:
                            yield int(entry), int(stat.read().rpartition(")")[2].split()[1])
                    except OSError:
                        continue

        if self._pid:
            for pid in [child for child, parent in processes() if parent == self._pid] + [self._pid]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
        return str(ray.get_runtime_context().get_node_id())


class Places:
    """The requests, each on a thread of its own, because a place may take long."""

    def __init__(self, output: Any) -> None:
        self._output = output
        self._lock = threading.Lock()
        self._given_up: dict[str, threading.Event] = {}
        self._busy: list[threading.Thread] = []

    def answer(self, **values: Any) -> None:
        """Write an answer; nobody reads it any more where the supervisor is gone."""
        with self._lock, contextlib.suppress(OSError):
            print(json.dumps(values), file=self._output, flush=True)

    def take(self, request: dict[str, Any]) -> None:
        """Begin to serve a request."""
        if name := request.get("place"):
            self._given_up[name] = threading.Event()
            self._begin(self._place, name, request)
        elif name := request.get("give_up"):
            self._given_up.setdefault(name, threading.Event()).set()
            self._begin(self._give_up, name)
        elif name := request.get("is_head_there"):
            self._begin(self._look_for_head, name)

    def _begin(self, serve: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=serve, args=arguments, daemon=True)
        thread.start()
        self._busy = [t for t in self._busy if t.is_alive()] + [thread]

    def finish(self, timeout_s: float) -> None:
        """Wait for what is under way."""
        for thread in self._busy:
            thread.join(timeout_s)

    def _place(self, name: str, request: dict[str, Any]) -> None:
        try:
            self._wait_for_place(name, request)
        except Exception as error:
            self.answer(failed=name, error=first_words(error))

    def _wait_for_place(self, name: str, request: dict[str, Any]) -> None:
        avoid = list(request["avoid"])
        actor = _make_actor(name, request["needs"], avoid)
        started = actor.start.remote(request["start"], request["threads"])
        if not self._is_ready(name, started, request["within_s"]):
            ray.kill(actor)
            if not self._given_up[name].is_set():
                self.answer(waiting=name, why=why_not(request["needs"], avoid))
            return
        told = ray.get(started)
        if "pid" in told:
            self.answer(placed=name, **told)
        else:
            ray.kill(actor)
            self.answer(failed=name, error=told["error"])

    def _is_ready(self, name: str, started: Any, within_s: float) -> bool:
        waited_s = 0.0
        while waited_s < within_s and not self._given_up[name].is_set():
            if ray.wait([started], timeout=TICK_S)[0]:
                return True
            waited_s += TICK_S
        return False

    def _give_up(self, name: str) -> None:
        with contextlib.suppress(Exception):  # it is gone, or was never there
            actor: Any = ray.get_actor(name, NAMESPACE)
            node = None
            with contextlib.suppress(Exception):
                node = ray.get(actor.kill_agent.remote(), timeout=GIVE_UP_S)
            ray.kill(actor)
            if node is not None:
                self.answer(reached=node)

    def _look_for_head(self, name: str) -> None:
        host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), HEAD_S).close()
        except OSError:
            self.answer(head=name, there=False)
        else:
            self.answer(head=name, there=True)


def _make_actor(name: str, needs: dict[str, Any], avoid: list[str]) -> Any:
    """An actor that waits for its share of a host; not on these nodes, which may be gone without Ray's knowing it."""
    options: dict[str, Any] = {"name": name, "namespace": NAMESPACE, "lifetime": "detached", "max_restarts": 0, **needs}
    options["scheduling_strategy"] = "SPREAD"  # Ray's own choice fills one host after the other
    if avoid:
        options["label_selector"] = {"ray.io/node-id": f"!in({','.join(avoid)})"}
    return ray.remote(Holder).options(**options).remote()


def why_not(needs: dict[str, Any], avoid: list[str]) -> str:
    """Why there is no place, host by host."""
    wanted = {"CPU": needs["num_cpus"], "GPU": needs["num_gpus"], **needs["resources"]}
    wanted = {name: amount for name, amount in wanted.items() if amount}
    hosts = []
    for node in ray.nodes():  # type: ignore[no-untyped-call]
        if not node["Alive"]:
            continue
        if node["NodeID"] in avoid:
            hosts.append(f"{node['NodeManagerAddress']} did not answer a moment ago")
            continue
        has = node["Resources"]
        short = ", ".join(
            f"{name} {has.get(name, 0):g}" for name, amount in wanted.items() if has.get(name, 0) < amount
        )
        has_what = f"has {short}" if short else "has it all, but others have taken it, or it is slow"
        hosts.append(f"{node['NodeManagerAddress']} {has_what}")
    needed = ", ".join(f"{name} {amount:g}" for name, amount in wanted.items())
    return f"it needs {needed}; " + ("; ".join(hosts) or "no host of the cluster is alive")


def first_words(error: Exception) -> str:
    """What Ray says, on one line: its first sentence, for it goes on at length."""
    return re.split(r"\.\s", " ".join(str(error).split()), maxsplit=1)[0][:300].rstrip(".")


def main(cluster: str) -> int:
    """Serve requests until the input ends."""
    output = os.fdopen(os.dup(1), "w")
    silence = os.open(os.devnull, os.O_RDWR)
    os.dup2(silence, 1)  # Ray prints what it likes
    os.dup2(silence, 2)
    places = Places(output)
    try:
        ray.init(address=cluster, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        places.answer(error=first_words(error))
        return 1
    places.answer(joined=ray.get_runtime_context().gcs_address)
    for line in sys.stdin:
        places.take(json.loads(line))
    places.finish(1.0)
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1])
    os._exit(code)  # Ray's own end takes seconds where the head is gone
