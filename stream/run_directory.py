"""The folder that a run keeps its sockets in, and how tools find the run that is going on."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from stream.errors import ConfigError

LONGEST_BASE = 60  # bytes: a socket's path has at most 107, and ours take up to 45 beyond it


def root() -> Path:
    """The folder of all runs of this user: private, short enough for socket paths, gone after a reboot."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    if not os.path.isdir(base):  # it is often set in containers, and not there
        base = tempfile.gettempdir()
    if len(os.fsencode(base)) > LONGEST_BASE:
        base = "/tmp"
    return Path(base) / f"sam-pt-live-{os.getuid()}"


@dataclass(frozen=True)
class Run:
    """A run that is going on, as tools see it."""

    pid: int
    camera: str
    control_endpoint: str
    publish_endpoint: str


class RunDir:
    """This run's own folder, removed at its end; also by whoever survives, if the run is killed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls) -> RunDir:
        """A new folder; folders whose run has died are swept away first."""
        top = root()
        try:
            top.mkdir(mode=0o700, exist_ok=True)
            if top.stat().st_uid != os.getuid() or top.is_symlink():
                raise ConfigError(
                    f"{top} belongs to somebody else; remove it, or set XDG_RUNTIME_DIR to a folder of yours"
                )
            for old in top.iterdir():
                if not _alive(_pid_of(old)):
                    shutil.rmtree(old, ignore_errors=True)
            return cls(Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=top)))
        except OSError as error:
            raise ConfigError(f"no folder for the sockets can be made in {top}: {error.strerror}") from None

    def endpoint(self, name: str) -> str:
        """The ipc endpoint of that name."""
        return f"ipc://{self.path / name}"

    def announce(self, run: Run) -> None:
        """Tell tools where this run can be reached."""
        part = self.path / "run.json.part"
        part.write_text(json.dumps(vars(run)))
        part.replace(self.path / "run.json")

    def remove(self) -> None:
        """Remove the folder and every socket in it, and the folder of all runs when it is empty."""
        shutil.rmtree(self.path, ignore_errors=True)
        try:
            self.path.parent.rmdir()
        except OSError:
            pass  # other runs are going on


def find_run(camera: str | None = None) -> Run:
    """The run going on on this machine (of that camera); ConfigError when there is none, or more than one."""
    runs = []
    for path in sorted(root().glob("*/run.json")):
        try:
            run = Run(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            continue
        if _alive(run.pid) and camera in (None, run.camera):
            runs.append(run)
    named = f" of camera {camera!r}" if camera else ""
    if not runs:
        raise ConfigError(f"no run{named} is going on on this machine; start run_stream.py, or give the endpoint")
    if len(runs) > 1:
        raise ConfigError(
            f"{len(runs)} runs{named} are going on; name one with --camera or give its endpoint: "
            + ", ".join(f"{r.camera} (pid {r.pid}, {r.control_endpoint})" for r in runs)
        )
    return runs[0]


def _pid_of(folder: Path) -> int:
    pid = folder.name.partition("-")[0]
    return int(pid) if pid.isdigit() else -1


def _alive(pid: int) -> bool:
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
