"""Recordings over HTTP: a list of them, and their files, ranges included.

A request names a camera and a moment, which are looked up in the index of that camera's recordings: no request can name
a path. The files are read by the system's own sendfile, so that a long video costs no memory.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from nodes.web.http.replies import as_json, dress, plain
from nodes.web.http.visitor import Visitor
from stream.recordings.index_file import IndexedFolder, read_index
from stream.recordings.segments import MASKS, VIDEO, Index

MOST = 500  # recordings in one reply


class RecordingHandlers:
    """The answers about recordings."""

    def __init__(self, folders: dict[str, IndexedFolder]) -> None:
        """`folders` of recordings by camera."""
        self._folders = folders
        self._indexes: dict[str, tuple[tuple[int, int], Index]] = {}  # by camera, with inode and time of the file

    async def recordings(self, visitor: Visitor) -> web.StreamResponse:
        """The newest recordings first; ?camera= of one, ?before= a moment in s since 1970, ?limit= so many at most."""
        query = visitor.request.query
        try:
            before_ns = int(float(query.get("before", "inf")) * 1e9) if "before" in query else 1 << 63
            limit = max(1, min(MOST, int(query.get("limit", "100"))))
        except (ValueError, OverflowError):
            return plain(400, "before: needs s since 1970; limit: a number")
        found: list[dict[str, Any]] = []
        for camera in self._folders:
            if query.get("camera", camera) == camera and (index := self._index(camera)) is not None:
                found += [r for r in _rows(camera, index) if r["start"] * 1e9 < before_ns]
        found.sort(key=lambda row: row["start"], reverse=True)
        return as_json(200, {"recordings": found[:limit], "more": len(found) > limit})

    async def recorded_video(self, visitor: Visitor, camera: str, start: str) -> web.StreamResponse:
        """The video that begins then."""
        return self._file(visitor, camera, start, VIDEO, "video/mp4")

    async def recorded_masks(self, visitor: Visitor, camera: str, start: str) -> web.StreamResponse:
        """The masks of the video that begins then."""
        return self._file(visitor, camera, start, MASKS, "application/jsonl")

    def _file(self, visitor: Visitor, camera: str, start: str, ending: str, kind: str) -> web.StreamResponse:
        index = self._index(camera)
        names = [] if index is None else [s.name for s in index.segments]
        if index is not None and index.writing is not None:
            names.append(index.writing.name)
        name = next((n for n in names if n == f"{camera}-{start}"), None)
        path = None if name is None else self._folders[camera].folder / (name + ending)
        if path is None or not path.is_file():
            return plain(404, "no such recording, or it has given way to newer ones")
        response = web.FileResponse(path, headers={"Content-Type": kind, "Cache-Control": "private, no-cache"})
        dress(response)
        return response

    def _index(self, camera: str) -> Index | None:
        """The index of a camera's recordings, read again when it has changed; None where there is none."""
        recorded = self._folders.get(camera)
        if recorded is None:
            return None
        try:
            status = recorded.index.stat()
        except OSError:
            return None
        newest = status.st_ino, status.st_mtime_ns
        before = self._indexes.get(camera)
        if before is not None and before[0] == newest:
            return before[1]
        index = read_index(recorded.index)
        if index is not None:
            self._indexes[camera] = newest, index
        return index


def _rows(camera: str, index: Index) -> list[dict[str, Any]]:
    """What the list tells of each recording of a camera."""
    rows = [
        {
            "camera": camera,
            "start": s.start_unix_ns / 1e9,
            "end": s.end_unix_ns / 1e9,
            "bytes": s.bytes,
            "video": f"/recordings/{camera}/{s.name.removeprefix(camera + '-')}{VIDEO}",
            "masks": f"/recordings/{camera}/{s.name.removeprefix(camera + '-')}{MASKS}" if s.masks_bytes else None,
            "writing": False,
        }
        for s in index.segments
    ]
    if (w := index.writing) is not None:
        rows.append(
            {
                "camera": camera,
                "start": w.start_unix_ns / 1e9,
                "end": None,
                "bytes": None,
                "video": f"/recordings/{camera}/{w.name.removeprefix(camera + '-')}{VIDEO}",
                "masks": None,
                "writing": True,
            }
        )
    return rows
