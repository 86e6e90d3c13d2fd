"""The memory of a node's process: what it has once taken for pictures is used again."""

from __future__ import annotations

import subprocess
import sys

from stream.supervision.processes import environment

PICTURES = """
import ctypes, resource, threading
malloc, free = ctypes.CDLL(None).malloc, ctypes.CDLL(None).free
malloc.restype, malloc.argtypes, free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
size = 640 * 480 * 3

def page_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def take_twenty():
    before, blocks = page_faults(), [malloc(size) for _ in range(20)]
    for block in blocks:
        ctypes.memset(block, 1, size)
    for block in blocks:
        free(block)
    return page_faults() - before

faults = [take_twenty(), take_twenty()]
thread = threading.Thread(target=lambda: faults.append(take_twenty()))
thread.start()
thread.join()
print(*faults)
"""


def test_pictures_are_put_where_earlier_ones_were_whichever_thread_takes_them():
    done = subprocess.run(
        [sys.executable, "-c", PICTURES], env=environment(), capture_output=True, text=True, check=True
    )
    first, again, in_a_thread = map(int, done.stdout.split())
    assert first > 1000, "20 pictures of 225 pages"
    assert again < first / 20
    assert in_a_thread < first / 20


def test_what_the_user_has_set_is_left_as_it_is(monkeypatch):
    monkeypatch.setenv("MALLOC_ARENA_MAX", "7")
    assert environment()["MALLOC_ARENA_MAX"] == "7"
