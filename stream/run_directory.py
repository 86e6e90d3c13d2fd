"""The folder that a run keeps its sockets in, and how tools find the run that is going on.

A run holds a lock (flock) on its folder while it lives. The kernel lets go of it however the run ends, and the lock
means the same in every container that shares the folder, which process ids do not. A folder without a lock belongs to
a dead run; the next start removes it. (Cleaners of /tmp that follow systemd's rules also leave a locked folder alone.)
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from stream.errors import ConfigError
from stream.settings.addresses import connectable

LONGEST_BASE = 55  # bytes: a socket's path has at most 107, and ours take up to 50 beyond it
FORK_SERVER = "fork-server"  # the process that others of the run are forked from (nodes/fork_server.py)
UNNAMED = ".new-"  # a folder that is being made: it has no lock yet
UNNAMED_S = 60.0  # one that is older was left by a run that was killed while it made it
TRIES = 5  # another run that ends may remove the folder of all runs under our feet


def root() -> Path:
    """The folder of all runs of this user: private, short enough for socket paths, gone after a reboot."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    if not _is_own(base):  # in containers it is often not there, with sudo and su another user's
        base = tempfile.gettempdir()
    if len(os.fsencode(base)) > LONGEST_BASE:
        base = "/tmp"
    return Path(base) / f"sam-pt-live-{os.getuid()}"


def _is_own(folder: str) -> bool:
    """Whether it is a folder of this user that it can write to."""
    try:
        owner = os.stat(folder).st_uid
    except (OSError, ValueError):
        return False
    return owner == os.getuid() and os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


@dataclass(frozen=True)
class Run:
    """A run that is going on, as tools see it."""

    pid: int
    camera: str
    control_endpoint: str
    publish_endpoint: str  # empty until the publisher has bound it, where the system chooses the port
    cameras: tuple[str, ...] = ()  # where there may be several


class RunDir:
    """This run's own folder, removed at its end; also by whoever survives, if the run is killed."""

    def __init__(self, path: Path, lock: int | None = None) -> None:
        self.path = path
        self._lock = lock  # a descriptor of the folder; None in a node, whose supervisor holds it
        self._run: Run | None = None  # as it was announced last

    @classmethod
    def create(cls) -> RunDir:
        """A new folder; folders whose run has died are swept away first."""
        top = root()
        for _ in range(TRIES):
            try:
                top.mkdir(mode=0o700, exist_ok=True)
                _check_owner(top)
                _sweep(top)
                return _make(top)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise ConfigError(
                    f"no folder for the sockets can be made in {top} ({error.strerror}); "
                    "set XDG_RUNTIME_DIR to a folder of yours"
                ) from None
        raise ConfigError(f"{top} is removed again and again; set XDG_RUNTIME_DIR to a folder of yours")

    def endpoint(self, name: str) -> str:
        """The ipc endpoint of that name."""
        return f"ipc://{self.path / name}"

    def announce(self, run: Run) -> None:
        """Tell tools where this run can be reached: addresses that they can connect to."""
        control, publish = connectable(run.control_endpoint), connectable(run.publish_endpoint)
        self._run = run = replace(run, control_endpoint=control, publish_endpoint=publish)
        part = self.path / "run.json.part"
        part.write_text(json.dumps(vars(run)))
        part.replace(self.path / "run.json")

    def keep(self) -> None:
        """Announce the run again if something (a cleaner of /tmp) has removed that; never fails."""
        if self._run is not None and not (self.path / "run.json").exists():
            with contextlib.suppress(OSError):
                self.announce(self._run)

    def remove(self) -> None:
        """Remove the folder and every socket in it, and the folder of all runs when it is empty."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        with contextlib.suppress(OSError):  # other runs are going on
            self.path.parent.rmdir()


def _make(top: Path) -> RunDir:
    """A new folder in `top`, with its lock; it gets its name when it has the lock, so that nobody sweeps it away."""
    path = Path(tempfile.mkdtemp(prefix=UNNAMED, dir=top))
    lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        named = path.with_name(f"{os.getpid()}-{path.name.removeprefix(UNNAMED)}")
        return RunDir(path.rename(named), lock)
    except OSError:
        os.close(lock)
        raise


def _sweep(top: Path) -> None:
    """Remove the folders whose run has died."""
    for path in top.iterdir():
        if path.name.startswith(UNNAMED):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > UNNAMED_S:
                    path.rmdir()
            continue
        with _locked(path, fcntl.LOCK_EX) as free:
            if free:
                shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path, kind: int) -> Iterator[bool]:
    """Whether the folder's lock is free: then its run has died, and the lock is held inside."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(folder, kind | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(folder)


def _check_owner(top: Path) -> None:
    """Refuse a folder that somebody else could have put things into: sockets of theirs would pass for ours."""
    status = os.lstat(top)
    if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode):
        raise ConfigError(
            f"{top} belongs to somebody else (user {status.st_uid}); remove it, "
            "or set XDG_RUNTIME_DIR to a folder of yours"
        )
    if status.st_mode & 0o022:
        raise ConfigError(f"{top} can be written to by other users; `chmod 700 {top}`, or remove it")


def find_run(camera: str | None = None) -> Run:
    """The run going on on this machine (of that camera); ConfigError when there is none, or more than one."""
    return _find(camera)[0]


def find_run_folder(camera: str | None = None) -> Path:
    """The folder of that run; ConfigError as for `find_run`."""
    return _find(camera)[1]


def _find(camera: str | None) -> tuple[Run, Path]:
    found = []
    for path in _run_folders():
        try:
            plain = json.loads((path / "run.json").read_text())
            run = Run(**{**plain, "cameras": tuple(plain.get("cameras", ()))})
        except (OSError, ValueError, TypeError):
            continue
        if camera in (None, run.camera, *run.cameras):
            found.append((run, path))
    runs = [run for run, _ in found]
    named = f" of camera {camera!r}" if camera else ""
    if not runs:
        raise ConfigError(f"no run{named} is going on on this machine; start run_stream.py, or give the endpoint")
    if len(runs) > 1:
        raise ConfigError(
            f"{len(runs)} runs{named} are going on; name one with --camera or give its endpoint: "
            + ", ".join(f"{' '.join(r.cameras) or r.camera} (pid {r.pid}, {r.control_endpoint})" for r in runs)
        )
    return found[0]


def _run_folders() -> list[Path]:
    """The folders of the runs that live; ConfigError where they can't be trusted."""
    top = root()
    try:
        _check_owner(top)
        folders = sorted(p for p in top.iterdir() if not p.name.startswith(UNNAMED))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigError(f"{top} can't be read ({error.strerror}); set XDG_RUNTIME_DIR to the run's") from None
    return [path for path in folders if not _is_free(path)]


def _is_free(path: Path) -> bool:
    """Whether nobody holds the folder's lock."""
    with _locked(path, fcntl.LOCK_SH) as free:
        return free
