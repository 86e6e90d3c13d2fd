"""A video file, or a filter graph of FFmpeg, in; its pictures out, and its failures in words that say what to do."""

from __future__ import annotations

from pathlib import Path

from nodes.capture.decoding.video import VideoSource, errors, library_versions, reason
from nodes.capture.source import SourceInfo
from stream.errors import SourceError

WEBP_ANIMATIONS = (63, 0, 0)  # the libavcodec of FFmpeg 9, the first that reads them


class FileSource(VideoSource):
    """A video file, every frame of it."""

    def __init__(self, path: Path) -> None:
        # "file:" keeps FFmpeg from reading a colon in a file's name as a protocol
        super().__init__(f"--source {path}", f"file:{path}")
        self._path = path

    def check(self) -> None:
        try:
            empty = self._path.stat().st_size == 0 and self._path.is_file()
        except OSError as error:
            if isinstance(error, FileNotFoundError | NotADirectoryError):
                raise SourceError(
                    f"{self.name}: no such file or folder (looked in {Path.cwd()}); "
                    "needs demo, a camera number, rtsp://..., a video file or a folder of frames"
                ) from None
            raise SourceError(f"{self.name}: can't be reached ({error.strerror})") from None
        if empty:
            raise SourceError(f"{self.name}: the file is empty (0 bytes); needs a video, so fetch or copy it again")
        if library_versions["libavcodec"] < WEBP_ANIMATIONS and is_animated_webp(self._path):
            raise SourceError(
                f"{self.name}: an animated WebP, which this FFmpeg can't read; needs a video, a GIF or a folder"
            )

    def open_failure(self, error: Exception, took_s: float) -> SourceError:
        if isinstance(error, PermissionError):
            return SourceError(f"{self.name}: no permission to read it; try: chmod u+r {self._path}")
        if not isinstance(error, errors.InvalidDataError):
            return super().open_failure(error, took_s)
        with self._path.open("rb") as file:
            head = file.read(12)
        if head[4:8] == b"ftyp":
            return SourceError(
                f"{self.name}: an MP4 without its index (the moov box): the recording was cut off or is still being "
                "written; needs the whole file"
            )
        return SourceError(f"{self.name}: no video that FFmpeg knows; needs a video file (ffprobe tells what it is)")

    def _begin(self) -> SourceInfo:
        if self._container.format.name == "tty":  # FFmpeg draws a text file as terminal art, frame by frame
            raise SourceError(f"{self.name}: a text file; needs a video file, a folder of frames, or rtsp://...")
        return super()._begin()


class GraphSource(VideoSource):
    """A filter graph of FFmpeg, such as testsrc2=size=640x360:rate=25."""

    def __init__(self, graph: str) -> None:
        super().__init__(f"--source lavfi:{graph}", graph, container="lavfi")

    def open_failure(self, error: Exception, took_s: float) -> SourceError:
        return SourceError(
            f"{self.name}: no filter graph that FFmpeg can build ({reason(error)}); needs one such as "
            "lavfi:testsrc2=size=640x360:rate=25 (ffplay -f lavfi GRAPH shows what is wrong)"
        )


def is_animated_webp(path: Path) -> bool:
    """Whether a file says of itself that it is a WebP with several frames."""
    try:
        with path.open("rb") as file:
            head = file.read(21)
    except OSError:
        return False
    return len(head) == 21 and head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)
