"""A file or folder of the official PIPS weights in, the network out."""

from __future__ import annotations

import re
from pathlib import Path

import torch

from nodes.tracker.pips.network import Pips
from stream.errors import CheckpointError
from stream.weights.loading import load_strictly, read_tensors

WEIGHTS = "pips"  # their name in tools/fetch_weights.py


def load_pips(path: Path, stride: int = 4) -> Pips:
    """The network with the weights of a checkpoint, on the CPU, in float32; CheckpointError says what is wrong."""
    file = find_checkpoint(path)
    with torch.device("meta"):  # weights that are replaced at once need no memory and no random numbers
        network = Pips(stride)
    load_strictly(network, read_tensors(file, WEIGHTS), file, WEIGHTS)
    return network.eval()


def find_checkpoint(path: Path) -> Path:
    """The file itself, or of a folder, as the official archive unpacks to, its model-STEP.pth of the largest step."""
    path = path.expanduser()
    if not path.is_dir():
        return path
    steps = {int(found[1]): f for f in path.iterdir() if (found := re.fullmatch(r"model-(\d+)\.pth", f.name))}
    if not steps:
        raise CheckpointError(
            f"{path}: no model-STEP.pth in this folder; `python tools/fetch_weights.py {WEIGHTS}` gets the right file"
        )
    return steps[max(steps)]
