"""The page's files, read once at the start and looked up by name: no request can name a path."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "static"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True)
class StaticFile:
    """A file as it is sent."""

    content: bytes
    content_type: str
    etag: str


def read_static_files(folder: Path = FOLDER) -> dict[str, StaticFile]:
    """The files of the folder by name; those of a folder inside by its name and theirs, as in `core/wire.js`."""
    return {
        path.relative_to(folder).as_posix(): StaticFile(
            content := path.read_bytes(), TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:24]}"'
        )
        for path in sorted(folder.rglob("*"))
        if path.suffix in TYPES and path.is_file()
    }
