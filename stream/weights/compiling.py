"""Parts of a network compiled by PyTorch, at the start and not on the first frame.

Many small operations become few: on a GPU an encoder takes two thirds of the time, the passes of SAM and a window of
PIPS half. It takes up to a minute, and seconds where PyTorch finds in its cache what an earlier start has compiled.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import nn

from stream.errors import ConfigError

log = logging.getLogger(__name__)
Wish = Literal["auto"] | bool  # auto: on a GPU, where precision is not that of the reference


def is_wished(wish: Wish, device: torch.device, dtype: torch.dtype) -> bool:
    """Whether to compile."""
    return wish is True or (wish == "auto" and device.type == "cuda" and dtype != torch.float32)


def compile_parts(key: str, wish: Wish, parts: Sequence[nn.Module], try_out: Callable[[], object]) -> None:
    """Compile modules; `try_out` runs them as they will be run.

    ConfigError names the config's `key` if that can't be done and was asked for; with auto they stay as they are.
    """
    log.info("compiling for %s: up to a minute, and seconds at the next start", key)
    began = time.monotonic()
    for part in parts:
        part.compile()
    try:
        with torch.inference_mode():
            try_out()
    except RuntimeError as error:  # no compiler, or none that works
        first = str(error).strip().partition("\n")[0]
        if wish is True:
            raise ConfigError(f"{key} is true, and PyTorch can't compile here: {first}; set it to false") from None
        for part in parts:
            part._compiled_call_impl = None
        log.warning("%s is auto, and PyTorch can't compile here: %s; it runs without, slower", key, first)
    else:
        log.info("compiled for %s in %.0f s", key, time.monotonic() - began)
