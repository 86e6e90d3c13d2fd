"""The state folder of a run: which file holds what, and whether this version can read what is there.

STATE/state.json                    the version of this layout
STATE/cameras/CAMERA/objects.json   objects with their ids, labels, prompts and last masks
                     zones.json     what requests have changed in the zones
                     recordings.json    the index of the recordings
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from stream.errors import ConfigError
from stream.settings.cameras import camera_configs
from stream.settings.config import Config
from stream.state.files import check_file_version, write_whole

MARKER = "state.json"
LAYOUT = 1  # in it
VERSIONS = {"journal": 1, "zones": 1, "recordings": 1}  # of each kind of file, as its first key says


def camera_state(config: Config) -> Path | None:
    """The folder of a camera's state; None where the run has no state folder."""
    if not config.supervisor.state:
        return None
    return Path(config.supervisor.state) / "cameras" / config.capture.camera


def objects_file(folder: Path) -> Path:
    """The objects of a camera, in the folder of its state."""
    return folder / "objects.json"


def zones_file(folder: Path) -> Path:
    """What requests have changed in its zones."""
    return folder / "zones.json"


def recordings_file(folder: Path) -> Path:
    """The index of its recordings."""
    return folder / "recordings.json"


def prepare_state(config: Config) -> None:
    """Make the state folder that a config names; ConfigError where it can't be written or a newer version wrote it."""
    if not config.supervisor.state:
        return
    top = Path(config.supervisor.state)
    _make(top)
    check_versions(config)
    for own in camera_configs(config).values():
        folder = camera_state(own)
        assert folder is not None, "all cameras have the same state folder"
        _make(folder)
    if not (top / MARKER).exists():
        write_whole(top / MARKER, json.dumps({"state": LAYOUT}).encode() + b"\n")


def check_versions(config: Config) -> None:
    """Refuse a state folder that a newer version has written, and a camera that it has no place for; ConfigError."""
    top = Path(config.supervisor.state)
    check_file_version(top / MARKER, "state", LAYOUT)
    for name, own in camera_configs(config).items():
        if not name.strip("."):
            raise ConfigError(f"capture.camera is {name!r}, which names no folder of its own in --state {top}")
        if (folder := camera_state(own)) is not None:
            check_file_version(objects_file(folder), "journal", VERSIONS["journal"])
            check_file_version(zones_file(folder), "zones", VERSIONS["zones"])
            check_file_version(recordings_file(folder), "recordings", VERSIONS["recordings"])


def _make(folder: Path) -> None:
    """Make the folder where it is missing, for this user alone, and see whether files can be written there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):  # asking for the rights would not notice a read-only or full disk
            pass
    except FileExistsError:
        raise ConfigError(f"--state: {folder} is a file; needs a folder") from None
    except OSError as error:
        raise ConfigError(f"--state: {folder} can't be written ({error.strerror})") from None
