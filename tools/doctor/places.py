"""Where a run listens and writes: ports, folders with their space, files that hold secrets."""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tools.doctor.findings import Finding, ok, problem, refused, warning

if TYPE_CHECKING:
    from stream.settings.config import Config

LITTLE_BYTES = 200 << 20  # that logs and journals should find free
MB = 1_000_000
# a user and a password that are written out, or a secret: in no comment, and by no ${NAME}
_PASSWORD = re.compile(r"""^[^#]*(?:://[^\s/:@$]*:(?!\$\{)[^\s@]+@|\bsecret["']?:\s*["']?(?!\$\{)[^\s"'#,}])""")


def run_folder() -> Iterator[Finding]:
    """Where the sockets of a run go, and whether one is going on."""
    from stream.errors import ConfigError
    from stream.run_directory import find_run, root

    where = nearest_existing(root())
    if reason := why_not_writable(where):
        mend = "set XDG_RUNTIME_DIR to a folder of this user (a unit's RuntimeDirectory)"
        yield problem("sockets", f"{where} can't be written ({reason})", mend)
    else:
        yield ok("sockets", f"{root()} can be used")
    try:
        run = find_run()
    except ConfigError:
        return
    mend = "stop it first, if this config is to be checked in full"
    text = f"a run of {' '.join(run.cameras) or run.camera} is going on (pid {run.pid}): what it uses counts as taken"
    yield warning("run", text, mend)


def ports(config: Config) -> Iterator[Finding]:
    """Whether the addresses of the config can be listened at."""
    from stream.errors import ConfigError
    from stream.transport.listening import check_free

    wanted = [("publisher.endpoint", config.publisher.endpoint), ("control.endpoint", config.control.endpoint)]
    for key, endpoint in wanted:
        if not endpoint:
            continue
        try:
            check_free(key, endpoint)
            yield ok("ports", f"{key} {endpoint} is free")
        except ConfigError as error:
            yield refused("ports", error)
    if config.web.endpoint:
        from nodes.web.door import check_page

        try:
            check_page(config.web)
            yield ok("ports", f"web.endpoint {config.web.endpoint} is free")
        except ConfigError as error:
            yield refused("ports", error)


def folders(config: Config, free_bytes: Callable[[Path], int] | None = None) -> Iterator[Finding]:
    """Whether what the config writes can be written, and for how long there is room."""
    free = free_bytes or (lambda path: shutil.disk_usage(path).free)
    for key, folder, needed in written_folders(config):
        where = nearest_existing(folder)
        if not where.is_dir():
            yield problem("folders", f"{key}: {where} is a file", "name a folder, or another file")
        elif reason := why_not_writable(where):
            mend = f"give this user the right to: chown {os.getuid()} {where}; or name another place"
            yield problem("folders", f"{key}: {where} can't be written ({reason})", mend)
        elif (room := free(where)) < needed:
            text = f"{key}: {room // MB:,} MB are free in {where}; {needed // MB:,} MB are to stay free"
            yield problem("folders", text, "make room, or take another disk")
        else:
            will = "" if where == folder.absolute() else ", and is made at the start"
            yield ok("folders", f"{key}: {folder} can be written{will}; {room // MB:,} MB are free")
    yield from _recordings(config)


def _recordings(config: Config) -> Iterator[Finding]:
    """Whether recordings of unattended runs have limits that their disk can hold."""
    from stream.settings.cameras import camera_configs
    from stream.settings.recordings import is_folder

    for name, own in camera_configs(config).items():
        if not is_folder(own.renderer.record):
            continue
        disk, limits = shutil.disk_usage(nearest_existing(Path(own.renderer.record))), own.recording
        if not (limits.max_mb or limits.max_days or limits.keep_free_mb):
            mend = "set recording.keep_free_mb, recording.max_mb or recording.max_days"
            yield warning("folders", f"recordings of {name} have no limit, and fill the disk", mend)
        if limits.max_mb and limits.max_mb * MB > disk.total - limits.keep_free_mb * MB:
            text = f"recording.max_mb of {name} is {limits.max_mb:,.0f}, and the disk has {disk.total // MB:,} MB"
            yield warning("folders", text, "take less; recording.keep_free_mb is what will count")


def written_folders(config: Config) -> Iterator[tuple[str, Path, int]]:
    """(key, folder, bytes that are to stay free) of all that the config writes, each folder once a key."""
    from stream.settings.cameras import camera_configs
    from stream.settings.recordings import camera_folder, is_folder

    if config.supervisor.state:
        yield "--state", Path(config.supervisor.state), LITTLE_BYTES
    seen: set[tuple[str, Path]] = set()
    for own in camera_configs(config).values():
        sinks, wanted = own.renderer, []
        if is_folder(sinks.record):
            kept = round(own.recording.keep_free_mb * MB)
            wanted.append(("renderer.record", camera_folder(own), max(LITTLE_BYTES, kept)))
        elif sinks.record:
            wanted.append(("renderer.record", Path(sinks.record).parent, LITTLE_BYTES))
        if sinks.save_masks:
            wanted.append(("renderer.save_masks", Path(sinks.save_masks), LITTLE_BYTES))
        if sinks.picture:
            wanted.append(("renderer.picture", Path(sinks.picture).parent, LITTLE_BYTES))
        journal = own.supervisor.journal.replace("{camera}", own.capture.camera)
        if journal and not own.supervisor.state:
            wanted.append(("supervisor.journal", Path(journal).parent, LITTLE_BYTES))
        for key, folder, needed in wanted:
            if (key, folder) not in seen:
                seen.add((key, folder))
                yield key, folder, needed


def state(config: Config) -> Iterator[Finding]:
    """Whether this version can read what is in the state folder."""
    from stream.state.folder import check_versions

    if config.supervisor.state:
        check_versions(config)
        yield ok("state", f"{config.supervisor.state} can be read by this version")


def secrets(config: Config, file: str) -> Iterator[Finding]:
    """Whether others can read what holds a secret."""
    web, keys = config.web, config.graph.keys
    files = [("web.passwords", web.passwords), ("web.key", web.key), ("web.metrics_token", web.metrics_token)]
    if keys:
        files.append(("graph.keys", str(Path(keys) / "graph.key_secret")))
    if file.endswith((".yaml", ".yml")) and any(map(_PASSWORD.search, Path(file).read_text().splitlines())):
        files.append(("the config, which holds a password", file))
    for key, path in files:
        if not path:
            continue
        try:
            mode = os.stat(path).st_mode
        except OSError as error:
            yield problem("permissions", f"{key}: {path} can't be read ({error.strerror})", "name a file that is there")
            continue
        if stat.S_IMODE(mode) & 0o077:
            yield problem("permissions", f"{key}: other users can read {path}", f"chmod 600 {path}")
        else:
            yield ok("permissions", f"{key}: {path} is this user's alone")


def nearest_existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def why_not_writable(folder: Path) -> str:
    """Why no file can be written there, in the system's words; empty where one can."""
    try:
        with tempfile.TemporaryFile(dir=folder):  # asking for the rights would not notice a read-only disk
            return ""
    except OSError as error:
        return error.strerror or str(error)
