"""The process that pushes, for one connection: the address on the first line of its input, pictures behind it.

It asks for each picture when it has time for it, and ends with the connection or with its input.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import signal
import sys
from typing import BinaryIO

import av

from nodes.renderer.rtsp_push.pictures import CONNECTED, FAILED, PUSHED, READY, read_picture
from nodes.renderer.rtsp_push.rtsp_stream import RtspStream

PR_SET_PDEATHSIG = 1  # of prctl(2)
# The models go first where cores are short: a picture that is not pushed is one that was passed over. This counts once
# there is a connection: to start takes half a second of CPU time, and the renderer waits only so long for it.
NICE = 19  # where a process can't be told to work when a core is idle


def main(source: io.BufferedReader, answers: BinaryIO) -> None:
    """Push what comes until there is no more, or the server is away, or a picture has another size."""

    def say(word: bytes, reason: str = "") -> None:
        answers.write(b" ".join([word, reason.replace("\n", " ").encode()]).strip() + b"\n")
        answers.flush()

    url = source.readline().decode().rstrip("\n")
    stream, connected = RtspStream(url), False
    try:
        say(READY)
        while (picture := read_picture(source)) is not None and stream.takes(picture):
            stream.push(picture)
            if not connected:
                connected = True
                say(CONNECTED)
                work_when_idle()
            say(PUSHED)
            say(READY)
        stream.close()
    except (av.FFmpegError, OSError) as error:
        with contextlib.suppress(OSError):  # we, not the server, may have gone away
            say(FAILED, error.strerror or type(error).__name__)  # without the address, which may hold a password


def work_when_idle() -> None:
    """Take no time that the graph wants: on two cores masks were 20 ms later beside a process of niceness 19."""
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:  # no Linux
        os.nice(NICE)


def end_with_parent() -> None:
    """Have the kernel kill this process with the one that started it: no other way out of a call that hangs."""
    with contextlib.suppress(OSError, AttributeError):  # no Linux: the end of our input has to do
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


if __name__ == "__main__":
    end_with_parent()
    av.logging.set_level(av.logging.PANIC)
    main(io.BufferedReader(io.FileIO(0)), sys.stdout.buffer)
    os._exit(0)  # a connection that lingers can't hold the process back
