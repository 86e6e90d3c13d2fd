"""Forks the processes of nodes from one that has loaded their packages: the pages of these are there once for all.

Requests come over a socket, each with the two pipes of a process: {"id", "arguments"}. The process is forked twice, so
that the supervisor (a subreaper) becomes its parent, and answered with {"id", "pid"}. Python, numpy, OpenCV and the
compiled loops take 80 MB a process; of these about 20 remain its own.

Only a process with a single thread is forked: locks that other threads hold would stay locked in the child for ever. So
nothing here may start one; OpenCV is told to compute in the thread that asks.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from stream.console.process_arguments import overwrite_arguments

LOADED = (  # what a camera of a preset without torch imports, sooner or later
    "nodes.capture.node",
    "nodes.capture.demo",
    "nodes.capture.folder",
    "nodes.capture.decoding.video",
    "nodes.tracker.node",
    "nodes.tracker.lucas_kanade",
    "nodes.decoder.node",
    "nodes.decoder.lite.backend",
    "nodes.renderer.node",
    "nodes.publisher.node",
    "nodes.proxy.node",
    "stream.settings.presets",
)
REQUEST_BYTES = 1 << 16


def serve(requests: socket.socket, main: Callable[[str, str], int]) -> int:
    """Fork a process for each request, which runs `main(process, folder)`, until the supervisor closes the socket."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # the supervisor that started us held its stop signals back
    _load()
    while True:
        try:
            data, pipes, _, _ = socket.recv_fds(requests, REQUEST_BYTES, 2)
        except ConnectionError:
            return 0
        if not data:
            return 0
        request = json.loads(data)
        pid = _fork_twice(requests, request["arguments"], pipes, main)
        for pipe in pipes:
            os.close(pipe)
        with contextlib.suppress(OSError):
            requests.send(json.dumps({"id": request["id"], "pid": pid}).encode())


def _load() -> None:
    """Load the packages, and keep the garbage collector from writing into what they have made."""
    import cv2

    cv2.setNumThreads(1)  # before anything computes with it, which would start its threads
    for name in LOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def _fork_twice(
    requests: socket.socket, arguments: list[str], pipes: list[int], main: Callable[[str, str], int]
) -> int:
    """The id of a process that runs `main`; its parent is whoever adopts orphans."""
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        raise RuntimeError(f"the fork server has {threads} threads; only a process with one can be forked")
    read_end, write_end = os.pipe()
    between = os.fork()
    if between == 0:
        child = os.fork()
        if child:
            os.write(write_end, str(child).encode())
            os._exit(0)
        os.close(read_end)
        os.close(write_end)
        requests.close()
        _become(arguments, pipes, main)
    os.close(write_end)
    with os.fdopen(read_end) as answer:
        pid = int(answer.read())
    os.waitpid(between, 0)  # from now on the child is the supervisor's
    return pid


def _become(arguments: list[str], pipes: list[int], main: Callable[[str, str], int]) -> None:
    """Be the process that was asked for, to its end."""
    code = 1
    try:
        os.setsid()
        for descriptor, pipe in enumerate((pipes[0], pipes[1], pipes[1])):
            os.dup2(pipe, descriptor)
        for pipe in pipes:
            os.close(pipe)
        sys.argv[1:] = arguments
        overwrite_arguments([sys.executable, "-P", "-m", "nodes", *arguments])
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(15, Path(sys.executable).name.encode()[:15], 0, 0, 0)  # PR_SET_NAME
        code = main(arguments[0], arguments[1])
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
