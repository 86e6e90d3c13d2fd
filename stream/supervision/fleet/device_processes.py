"""One process for the trackers and decoders of all cameras of a device, which each camera takes for its own.

A camera's part of it starts, ends and is restarted alone; when the process dies, all its cameras are told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from stream.console.device_lines import read_ended, stop_line
from stream.errors import StreamError
from stream.supervision.processes import NodeProcess

Start = Callable[[str, Callable[[str], None]], NodeProcess]  # of a plan; where the lines of its output go


class DeviceProcess:
    """The process, and who is in it."""

    def __init__(self, plan: str, start: Start, write_line: Callable[[str], None]) -> None:
        self._write_line = write_line
        self._members: dict[str, DeviceMember] = {}  # by camera, the newest of each
        self._lock = threading.Lock()
        self._left = False  # everybody has
        self.process = start(plan, self._take_line)

    @property
    def alive(self) -> bool:
        """Whether cameras may join it."""
        return not (self._left or self.stopping) and self.process.exit_code() is None

    @property
    def stopping(self) -> bool:
        """Whether everybody in it was told to stop."""
        with self._lock:
            return bool(self._members) and all(m.told_to_stop for m in self._members.values())

    def join(self, member: DeviceMember) -> None:
        """One more camera, or a new life of one."""
        with self._lock:
            self._members[member.camera] = member

    def leave(self, member: DeviceMember) -> None:
        """A camera's nodes have ended; with those of the last one the process does."""
        with self._lock:
            if self._members.get(member.camera) is member:
                del self._members[member.camera]
            self._left = not self._members
        if self._left:
            self.process.terminate()

    def _take_line(self, line: str) -> None:
        ended = read_ended(line)
        if ended is None:
            self._write_line(line)
            return
        camera, code = ended
        with self._lock:
            member = self._members.get(camera)
        if member is not None:
            member.end(code)


class DeviceMember:
    """A camera's part of such a process."""

    error: StreamError | None = None  # its nodes report theirs
    placed = True
    where: dict[str, str] = {}

    def __init__(self, device: DeviceProcess, camera: str) -> None:
        self.name = f"{device.process.name} of {camera}"
        self.camera = camera
        self.told_to_stop = False
        self._device = device
        self._code: int | None = None
        device.join(self)

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._device.process.pid

    def end(self, code: int) -> None:
        """Its nodes have ended."""
        self._code = code

    @property
    def all_ended(self) -> bool:
        """Whether the process has ended, and all cameras' nodes with it."""
        return self._code is None and self._device.process.exit_code() is not None

    def exit_code(self) -> int | None:
        """How its nodes have ended, or the whole process; None while they run."""
        ended_alone = self._code is not None and not self._device.stopping
        return self._code if ended_alone else self._device.process.exit_code()

    def terminate(self) -> None:
        """Ask its nodes to stop; the process, too, where they are the last."""
        self.told_to_stop = True
        if self._device.stopping:
            self._device.process.terminate()
        else:
            self._device.process.tell(stop_line(self.camera))

    def kill(self) -> None:
        """End the process: a thread in it can't be ended alone."""
        self._device.process.kill()

    def restart_nodes(self, plan: str) -> None:
        """Have its nodes restarted, as the plan describes them."""
        self._device.process.tell(plan)

    def close(self) -> None:
        """Let go of what has ended."""
        if self._device.process.exit_code() is not None:
            self._device.process.close()
        else:
            self._device.leave(self)
