"""A process on another host, as the supervisor sees it: it looks like one of this host's (`NodeProcess`)."""

from __future__ import annotations

from typing import Protocol

from stream.errors import StreamError


class Host(Protocol):
    """What places the process and carries it (`cluster.py`)."""

    def update(self) -> None: ...
    def tell(self, process: PlacedProcess, plan: str) -> None: ...
    def terminate(self, process: PlacedProcess) -> None: ...
    def kill(self, process: PlacedProcess) -> None: ...
    def let_go(self, process: PlacedProcess) -> None: ...


class PlacedProcess:
    """From the request for a place to the end of the process; a restart is another one."""

    def __init__(self, name: str, number: int, plan: str, host: Host) -> None:
        """`number`: no other process of the run has it."""
        self.name = name
        self.number = number
        self.plan = plan
        self.pid = 0  # on its host; 0 while it is not known
        self.error: StreamError | None = None  # why it got no place; its nodes report theirs
        self.placed = False  # it runs: until then, no node of it is late
        self.where: dict[str, str] = {}  # its host: address, and node of the cluster
        self._code: int | None = None
        self._host = host

    def begin(self, pid: int, where: dict[str, str]) -> None:
        """It runs."""
        self.pid, self.where, self.placed = pid, where, True

    def end(self, code: int, error: StreamError | None = None) -> None:
        """It has ended, or counts as ended; the first word counts."""
        if self._code is None:
            self._code, self.error = code, error

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self._code is not None

    def exit_code(self) -> int | None:
        """Its exit code once it has ended, below 0 for a signal; None while it runs or waits for a place."""
        self._host.update()
        return self._code

    def restart_nodes(self, plan: str) -> None:
        """Have nodes of it restarted, as the plan describes them."""
        self._host.tell(self, plan)

    def terminate(self) -> None:
        """Ask it to stop."""
        if not self.over:
            self._host.terminate(self)

    def kill(self) -> None:
        """End it, whatever it does."""
        if not self.over:
            self._host.kill(self)

    def close(self) -> None:
        """Let go of a process that has ended."""
        self._host.let_go(self)
