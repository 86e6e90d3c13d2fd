"""Loops over arrays in, the same loops compiled by numba out; cached on disk wherever a folder can be written to."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba.core.errors import NumbaError

log = logging.getLogger(__name__)
F = TypeVar("F", bound=Callable[..., Any])

# The cache notices changes of a loop's own file only: after a change here, or to a constant that a loop takes from
# another file, `make clean`.
OPTIONS = {"nogil": True, "fastmath": {"contract", "reassoc", "arcp", "nsz"}, "error_model": "numpy"}
COMPILE_TIME = "about 20 s"  # for all of them; 15 s measured on one core of a cloud machine

_logged: set[str] = set()


def compiled(signature: str) -> Callable[[F], F]:
    """A typed `numba.njit`: for this signature, at once, free of the interpreter's lock."""

    def decorate(loop: F) -> F:
        try:
            fast: F = numba.njit(signature, cache=True, **OPTIONS)(loop)
        except NumbaError:  # of the loop itself
            raise
        except Exception as error:  # of the cache, of many types: no folder, a full disk, a damaged file
            _log_once(
                logging.WARNING,
                f"the lite decoder's loops cannot be kept on disk ({_reason(error)}); every start compiles them, which "
                f"takes {COMPILE_TIME}. Set NUMBA_CACHE_DIR to a folder that this user may write to",
            )
            fast = numba.njit(signature, **OPTIONS)(loop)
        else:
            stats = getattr(fast, "stats", None)  # none under NUMBA_DISABLE_JIT
            if stats is not None and stats.cache_misses:
                _log_once(
                    logging.INFO,
                    f"compiling the lite decoder's loops, {COMPILE_TIME}; kept for later starts in {stats.cache_path}",
                )
        return fast

    return decorate


def _reason(error: Exception) -> str:
    if isinstance(error, RuntimeError):  # numba names the loop, not the folders
        return "numba found no folder to write to: not beside their source, nor in the user's cache"
    return f"{type(error).__name__}: {error}"


def _log_once(level: int, text: str) -> None:
    """Log a text once a process, however many loops it is true of."""
    if text not in _logged:
        _logged.add(text)
        log.log(level, text)
