"""The published files of DISK and LightGlue in, the networks of `kornia` out.

LightGlue's file may say `self_attn.L.` and `cross_attn.L.` where the package has `transformers.L.self_attn.`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from nodes.tracker.lightglue.network import build_networks, thresholds
from stream.weights.loading import load_strictly, read_tensors

DISK, LIGHTGLUE = "disk", "lightglue_disk"  # their names in tools/fetch_weights.py
THRESHOLDS = "confidence_thresholds"  # a buffer that follows from the number of layers
OLD = re.compile(r"^(self_attn|cross_attn)\.(\d+)\.")


def load_lightglue(disk_file: Path, lightglue_file: Path) -> tuple[Any, Any]:
    """DISK and LightGlue with their weights, on the CPU; CheckpointError says what is wrong with which file."""
    disk, lightglue = build_networks()
    load_strictly(disk, read_tensors(disk_file, DISK), disk_file, DISK)
    tensors = {THRESHOLDS: thresholds(lightglue), **to_package(read_tensors(lightglue_file, LIGHTGLUE))}
    load_strictly(lightglue, tensors, lightglue_file, LIGHTGLUE)
    return disk.eval(), lightglue.eval()


def to_package(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of LightGlue by the package's names."""
    return {OLD.sub(r"transformers.\2.\1.", name): tensor for name, tensor in tensors.items()}
