"""The machine under a run: Python and its packages, open files, the clock, the user."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from tools.doctor.findings import Finding, ok, problem, warning

if TYPE_CHECKING:
    from stream.settings.config import Config

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ((3, 11), (3, 14))  # from, and below
JUMP_S = 0.1  # that the time of day may move against the monotonic clock meanwhile
TIME_ERROR = 5  # adjtimex: the clock is not synchronised
FILES_A_CAMERA = 64  # that the supervisor of several cameras has open for each

_NEED = re.compile(r"(?P<name>[\w.-]+)>=(?P<low>[\d.]+),<(?P<high>[\d.]+)")


def python() -> Iterator[Finding]:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    if PYTHONS[0] <= sys.version_info[:2] < PYTHONS[1]:
        yield ok("python", f"Python {version}")
    else:
        yield problem("python", f"Python {version}", "take Python 3.11 to 3.13: PYTHON=python3.12 make")


def requirement_files(config: Config | None) -> list[str]:
    """The lists of packages that a config needs; without one those of every run."""
    if config is None:
        return ["requirements-lite.txt"]
    from stream.settings.cameras import camera_configs
    from stream.settings.options import POINT_BACKENDS

    files = ["requirements-lite.txt"]
    if config.web.endpoint:
        files.append("requirements-web.txt")
    if config.mqtt.url:
        files.append("requirements-mqtt.txt")
    for own in camera_configs(config).values():
        if POINT_BACKENDS[own.tracker.backend].weights:
            files.append(POINT_BACKENDS[own.tracker.backend].requirements)
        if own.decoder.backend in ("sam2", "edgetam"):
            files.append("requirements-sam2.txt")
        elif own.decoder.backend != "lite":
            files.append("requirements.txt")
    return list(dict.fromkeys(files))


def packages(config: Config | None, version_of: Callable[[str], str] = metadata.version) -> Iterator[Finding]:
    """What pip has installed of what the config needs."""
    seen: set[str] = set()
    for file in requirement_files(config):
        mend = f"pip install -r {file} -c constraints.txt"
        for need in needs_of(ROOT / file):
            name, low, high = need["name"], need["low"], need["high"]
            if name in seen:
                continue
            seen.add(name)
            try:
                version = version_of(name)
            except metadata.PackageNotFoundError:
                yield problem("packages", f"{name} is not installed", mend)
                continue
            if not _numbers(low) <= _numbers(version) < _numbers(high):
                yield problem("packages", f"{name} is {version}; needs {low} or newer, below {high}", mend)
    yield ok("packages", f"{len(seen)} looked at ({', '.join(requirement_files(config))})")


def needs_of(file: Path) -> Iterator[re.Match[str]]:
    """Every package that a list names, those of lists that it includes, too."""
    for line in file.read_text().splitlines():
        if line.startswith("-r "):
            yield from needs_of(file.parent / line[3:].strip())
        elif match := _NEED.match(line):
            yield match


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: (2, 13, 0) of 2.13.0+cpu."""
    found = [int(n) for n in re.findall(r"\d+", version.partition("+")[0])[:4]]
    return tuple(found + [0] * (4 - len(found)))


def descriptors(config: Config) -> Iterator[Finding]:
    """How many files may be open at once."""
    from stream.settings.cameras import camera_configs
    from stream.transport.descriptors import NEEDED, NEEDED_BY_THREADS

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = NEEDED_BY_THREADS if config.supervisor.threads else NEEDED
    needed += FILES_A_CAMERA * (len(camera_configs(config)) - 1)
    shown = "any number of" if hard == resource.RLIM_INFINITY else f"{hard:,}"
    if hard != resource.RLIM_INFINITY and hard < needed:
        mend = "raise the limit: LimitNOFILE=65536 in a unit, nofile in /etc/security/limits.conf"
        yield problem("descriptors", f"{hard} files may be open at once; the run needs {needed}", mend)
    else:
        yield ok("descriptors", f"{shown} files may be open at once; the run needs {needed}")


def user(uid: int | None = None) -> Iterator[Finding]:
    """Who the run belongs to."""
    uid = os.getuid() if uid is None else uid
    if uid == 0:
        mend = "make a user for it, in the group video: docs/deploy.md"
        yield warning("user", "this is root, who may do more than a run needs", mend)
    else:
        yield ok("user", f"user {uid}")


class Clock:
    """The clock, from the making of this on: `findings` says whether it has jumped since."""

    def __init__(
        self,
        *,
        wall_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
        kernel_state: Callable[[], int] | None = None,
    ) -> None:
        self._wall_s, self._monotonic_s = wall_s, monotonic_s
        self._kernel_state = kernel_state or _kernel_state
        self._offset_s = wall_s() - monotonic_s()

    def findings(self) -> Iterator[Finding]:
        """Whether it is right, as far as this machine can tell."""
        moved_s = self._wall_s() - self._monotonic_s() - self._offset_s
        ntp = "have it set by NTP: systemctl enable --now systemd-timesyncd, or chrony"
        newest_s = max(path.stat().st_mtime for path in ROOT.glob("*.py"))
        if self._wall_s() < newest_s - 86_400:
            stamp = time.strftime("%Y-%m-%d", time.gmtime(self._wall_s()))
            yield problem("clock", f"it says {stamp}, which is before this program was installed", ntp)
        if abs(moved_s) > JUMP_S:
            yield problem("clock", f"it jumped by {moved_s:+.1f} s while it was looked at", ntp)
        state = self._kernel_state()
        if state == TIME_ERROR:
            mend = f"{ntp} (in a container, on its host)"
            yield warning("clock", "it is not synchronised: names and times of recordings may be wrong", mend)
        elif state < 0:
            yield warning("clock", "the kernel does not say whether it is synchronised", ntp)
        else:
            yield ok("clock", "it is synchronised")


def _kernel_state() -> int:
    """What adjtimex answers when nothing is to be changed; below 0 where it may not be asked."""
    try:
        room = ctypes.create_string_buffer(512)  # struct timex, which has 208 bytes; all zeros: only ask
        return int(ctypes.CDLL(None).adjtimex(room))
    except (OSError, AttributeError):
        return -1
