"""A checkpoint file in, its tensors out, checked against the network that they are meant for; no code of it is run."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stream.errors import CheckpointError

ZIP = b"PK\x03\x04"  # how files of torch.save begin since 1.6: only these can be mapped
SAFETENSORS_HEAD = 8  # bytes: the length of the JSON that follows
INSIDE = ("model_state_dict", "state_dict", "model", "extractor")  # where training checkpoints keep the tensors
NAMED = 3  # tensors that a message names before it only counts


def read_tensors(path: Path, what: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name; those of a training checkpoint without its optimizer.

    `what` is the name of the published weights, as tools/fetch_weights.py knows it. CheckpointError when the file is
    missing, no checkpoint, broken, or holds more than data.
    """
    check_head(path, what)
    content = _load(path, what)
    for key in INSIDE:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict) or not content:
        raise CheckpointError(f"{path} holds a {type(content).__name__} without tensors; {_needs(what)}")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise CheckpointError(f"{path}: {str(name)[:80]!r} is a {type(value).__name__}, no tensor; {_needs(what)}")
    return content


def load_strictly(module: nn.Module, tensors: Mapping[str, Tensor], path: Path, what: str) -> None:
    """Give a module, which may be on the meta device, its tensors: every one, no other, of its shape, and finite."""
    needed = module.state_dict()
    missing, unknown = needed.keys() - tensors.keys(), tensors.keys() - needed.keys()
    if missing or unknown:
        raise CheckpointError(
            f"{path} holds other weights than {what}: of {len(needed)} tensors {_some(missing)} missing, "
            f"and {_some(unknown)} not known; {_needs(what)}"
        )
    own = {name: _fitting(name, tensors[name], wanted, path, what) for name, wanted in needed.items()}
    module.load_state_dict(own, strict=True, assign=True)


def check_head(path: Path, what: str) -> None:
    """Refuse what is no checkpoint by its first bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; {_needs(what)}") from None
    except OSError as error:
        raise CheckpointError(f"{path} can't be read ({error.strerror}); {_needs(what)}") from None
    if not head:
        raise CheckpointError(f"{path} is empty; {_needs(what)}")
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise CheckpointError(f"{path} is a web page, saved in place of the checkpoint; {_needs(what)}")
    if head.startswith(b"\x1f\x8b"):
        raise CheckpointError(f"{path} is a packed archive; unpack it (tar xzf) and give what was in it")
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path} is a pointer of git-lfs, not the file itself; `git lfs pull` gets it")


def _load(path: Path, what: str) -> Any:
    """Whatever a file holds, as long as it is data; tensors are mapped, not read, where its format allows."""
    with path.open("rb") as file:
        head = file.read(SAFETENSORS_HEAD + 1)
    mapped = head.startswith(ZIP)
    try:
        if head.endswith(b"{") and int.from_bytes(head[:SAFETENSORS_HEAD], "little") < path.stat().st_size:
            from safetensors.torch import load_file

            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's advice to its users is no news of ours
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # bytes from anywhere break an unpickler in many ways
        wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
        if wanted:
            raise CheckpointError(
                f"{path} holds more than tensors: it calls for {wanted[1]}. Refused, none of it was run; {_needs(what)}"
            ) from None
        raise CheckpointError(
            f"{path} ({path.stat().st_size} bytes) is cut short, damaged, or no checkpoint. "
            f"Refused, none of it was run; {_needs(what)}"
        ) from None


def _fitting(name: str, tensor: Tensor, wanted: Tensor, path: Path, what: str) -> Tensor:
    """A copy of the tensor, in its module's own precision: the file it is mapped from may change later."""
    if tensor.shape != wanted.shape:
        came, needed = tuple(tensor.shape), tuple(wanted.shape)
        raise CheckpointError(f"{path}: {name} has the shape {came}, {what} needs {needed}; {_needs(what)}")
    kind = str(tensor.dtype).removeprefix("torch.") if tensor.layout == torch.strided else "sparse"
    if kind == "sparse" or tensor.is_meta or tensor.is_floating_point() != wanted.is_floating_point():
        needed_kind = str(wanted.dtype).removeprefix("torch.")
        raise CheckpointError(f"{path}: {name} is {kind}, {what} needs {needed_kind}; {_needs(what)}")
    if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
        bad = int((~tensor.isfinite()).sum())
        raise CheckpointError(f"{path}: {name} holds {bad} numbers that are NaN or infinite; {_needs(what)}")
    return tensor.to(wanted.dtype, copy=True, memory_format=torch.contiguous_format)


def _some(names: Collection[str]) -> str:
    """How many, with the first few by name: `3 (a, b, c) are`."""
    shown = ", ".join(name[:80] for name in sorted(names)[:NAMED])
    more = ", ..." if len(names) > NAMED else ""
    return f"{len(names)}{f' ({shown}{more})' if names else ''} {'is' if len(names) == 1 else 'are'}"


def _needs(what: str) -> str:
    return f"`python tools/fetch_weights.py {what}` gets the right file"
