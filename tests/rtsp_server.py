#!/usr/bin/python3
"""Serve one camera on rtsp://127.0.0.1:PORT/cam, for tests; run by the system's Python, which has GStreamer's `gi`.

Prints `ready PORT` once it listens (port 0: any free one). With --count-file it keeps writing how many frames each
client was sent: {"clients": [frames of the first, frames of the second, ...], "total": their sum}.

A line on standard input changes what is sent from then on: a pattern of videotestsrc (`ball`, `black`, `white`, whose
pictures are identical), or what happens to the encoded pictures (`whole`, `corrupt`, `undecodable`).

With --take, rtsp://127.0.0.1:PORT/live takes a stream that somebody pushes (RECORD). It is decoded; the count file then
also says `taken`: for each push {"pictures", "size", "rgb": the mean colour of a recent picture}. With --take-encoded
it is not decoded, as by a server that only passes it on; then `size` and `rgb` stay null.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import signal
import sys
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

MOUNT = "/cam"
TAKING = "/live"
COUNT_EVERY_MS = 200
START_CODES = "video/x-h264,stream-format=byte-stream"  # by which units are found


class Cameras(GstRtspServer.RTSPMediaFactory):  # type: ignore[misc]
    """Makes a pipeline of its own for every client, which starts at its first frame, and counts what it sends."""

    def __init__(self, launch: str) -> None:
        super().__init__()
        self.set_launch(launch)
        self.set_shared(False)
        self.sent: list[int] = []  # frames that left the encoder, one count a client
        self.source: Any = None  # of the newest client
        self.damage = "whole"

    def obey(self, word: str) -> None:
        """Change what is sent."""
        if word in ("whole", "corrupt", "undecodable"):
            self.damage = word
        elif self.source is not None:
            self.source.set_property("pattern", word)

    def do_configure(self, media: Any) -> None:
        encoder = media.get_element().get_by_name("encoder")
        self.source = media.get_element().get_by_name("source") or self.source
        client = len(self.sent)
        self.sent.append(0)

        def count(_pad: Any, info: Any) -> Any:
            self.sent[client] += 1
            if self.damage == "undecodable" or (self.damage == "corrupt" and self.sent[client] % 5 == 0):
                spoil(info.get_buffer(), from_header=self.damage == "undecodable")
            return Gst.PadProbeReturn.OK

        encoder.get_static_pad("src").add_probe(Gst.PadProbeType.BUFFER, count)
        GstRtspServer.RTSPMediaFactory.do_configure(self, media)


class Taker(GstRtspServer.RTSPMediaFactory):  # type: ignore[misc]
    """Takes what is pushed, decodes it, and counts the pictures."""

    def __init__(self, *, decode: bool) -> None:
        super().__init__()
        self._decode = decode
        self.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
        self.set_latency(0)
        decoder = "! avdec_h264 ! videoconvert ! video/x-raw,format=RGB" if decode else "! video/x-h264,alignment=au"
        sink = "fakesink name=sink sync=false signal-handoffs=true"
        self.set_launch(f"( rtph264depay name=depay0 ! h264parse {decoder} ! {sink} )")
        self.taken: list[dict[str, Any]] = []  # one entry a push

    def do_configure(self, media: Any) -> None:
        push: dict[str, Any] = {"pictures": 0, "size": None, "rgb": None}
        self.taken.append(push)

        def count(_sink: Any, buffer: Any, pad: Any) -> None:
            push["pictures"] += 1
            if self._decode:
                look_at(buffer, pad)

        def look_at(buffer: Any, pad: Any) -> None:
            form = pad.get_current_caps().get_structure(0)
            push["size"] = [form.get_value("width"), form.get_value("height")]
            if push["pictures"] % 5 == 1:
                data = buffer.extract_dup(0, buffer.get_size())
                push["rgb"] = [round(sum(data[i::3]) / len(data[i::3])) for i in range(3)]

        media.get_element().get_by_name("sink").connect("handoff", count)
        GstRtspServer.RTSPMediaFactory.do_configure(self, media)


class MapInfo(ctypes.Structure):
    """GstMapInfo."""

    _fields_ = [
        ("memory", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("max_size", ctypes.c_size_t),
        ("user_data", ctypes.c_void_p * 4),
        ("reserved", ctypes.c_void_p * 4),
    ]


def spoil(buffer: Any, *, from_header: bool) -> None:
    """Overwrite an encoded picture (H.264 with start codes): all of each unit, or the last third of all.

    Python's bindings never let a buffer be written that they hold themselves, so it is done in C's way.
    """
    library, info, address = ctypes.CDLL("libgstreamer-1.0.so.0"), MapInfo(), ctypes.c_void_p(hash(buffer))
    if not library.gst_buffer_map(address, ctypes.byref(info), 1):
        return
    data = ctypes.string_at(info.data, info.size)
    if from_header:
        units = data.split(b"\0\0\1")
        bad = b"\0\0\1".join([units[0], *(unit[:1] + b"\x55" * (len(unit) - 1) for unit in units[1:])])
    else:
        bad = data[: -(len(data) // 3)] + random.Random(1).randbytes(len(data) // 3)
    assert len(bad) == len(data)
    ctypes.memmove(info.data, bad, len(bad))
    library.gst_buffer_unmap(address, ctypes.byref(info))


def launch_line(file: str, size: str, fps: int) -> str:
    """A client's pipeline in gst-launch's words, from the ball or from what `loop_file` plays."""
    width, height = size.split("x")
    picture = (
        f"intervideosrc channel={MOUNT} ! videoconvert"
        if file
        else "videotestsrc name=source is-live=true pattern=ball"
    )
    raw = f"video/x-raw,format=I420,width={width},height={height},framerate={fps}/1"
    # no config-interval on the payloader: with x264's sliced threads it splits a key frame into two pictures
    encoder = f"x264enc name=encoder tune=zerolatency speed-preset=ultrafast key-int-max={fps} bitrate=1500"
    return f"( {picture} ! {raw} ! {encoder} ! {START_CODES} ! rtph264pay name=pay0 pt=96 )"


def loop_file(file: str, size: str, fps: int) -> Any:
    """The pipeline that plays a file for all clients and goes back to its start at its end."""
    width, height = size.split("x")
    player = Gst.parse_launch(
        f"filesrc name=file ! decodebin ! videoconvert ! videoscale ! videorate ! "
        f"video/x-raw,format=I420,width={width},height={height},framerate={fps}/1 ! intervideosink channel={MOUNT}"
    )
    player.get_by_name("file").set_property("location", file)

    def rewind(_bus: Any, message: Any) -> None:
        if message.type == Gst.MessageType.EOS:
            player.seek_simple(Gst.Format.TIME, Gst.SeekFlags.FLUSH, 0)

    player.get_bus().add_signal_watch()
    player.get_bus().connect("message", rewind)
    player.set_state(Gst.State.PLAYING)
    return player


def require_password(server: Any, factory: Any, user: str, password: str) -> None:
    """Answer 401 to whoever does not bring this name and password."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    allowed = Gst.Structure.new_empty("viewer")
    allowed.set_value("media.factory.access", True)
    allowed.set_value("media.factory.construct", True)
    factory.add_role_from_structure(allowed)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--file", default="", help="an MP4 that is served in a loop instead of a moving ball")
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--count-file", default="")
    parser.add_argument("--take", action="store_true", help="take a stream that is pushed to /live")
    parser.add_argument("--take-encoded", action="store_true", help="the same, without decoding it")
    parser.add_argument("--take-orders", action="store_true", help="read lines from standard input")
    own = parser.parse_args()

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(own.port))
    cameras = Cameras(launch_line(own.file, own.size, own.fps))
    player = loop_file(own.file, own.size, own.fps) if own.file else None
    if own.user:
        require_password(server, cameras, own.user, own.password)
    server.get_mount_points().add_factory(MOUNT, cameras)
    taker = Taker(decode=own.take) if own.take or own.take_encoded else None
    if taker is not None:
        server.get_mount_points().add_factory(TAKING, taker)
    if server.attach(None) == 0:
        print(f"port {own.port} is taken", file=sys.stderr)
        return 1

    def write_counts() -> bool:
        if own.count_file:
            with open(own.count_file + ".part", "w", encoding="utf-8") as file:
                taken = {} if taker is None else {"taken": taker.taken}
                json.dump({"clients": cameras.sent, "total": sum(cameras.sent), **taken}, file)
            os.replace(own.count_file + ".part", own.count_file)  # a reader never sees half a file
        return True

    def obey(descriptor: int, _condition: Any) -> bool:
        words = os.read(descriptor, 4096).decode().split()  # short lines, each written at once
        for word in words:
            cameras.obey(word)
        return bool(words)

    loop = GLib.MainLoop()
    if own.take_orders:
        GLib.io_add_watch(sys.stdin.fileno(), GLib.PRIORITY_DEFAULT, GLib.IO_IN | GLib.IO_HUP, obey)
    GLib.timeout_add(COUNT_EVERY_MS, write_counts)
    for number in (signal.SIGTERM, signal.SIGINT):
        GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, number, loop.quit)
    print(f"ready {server.get_bound_port()}", flush=True)
    loop.run()
    if player is not None:
        player.set_state(Gst.State.NULL)
    write_counts()
    return 0


if __name__ == "__main__":
    sys.exit(main())
