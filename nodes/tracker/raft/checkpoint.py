"""A file of RAFT's weights in, the network out; the authors' names of tensors become torchvision's.

authors (raft-things.pth), each with `module.` in front     torchvision (raft_large_*.pth)

fnet., cnet.                      feature_encoder., context_encoder.
  conv1, norm1                      convnormrelu.0, convnormrelu.1
  layerI.J.convK, .normK            layerI.J.convnormreluK.0, .1
  layerI.0.norm3                    (the same tensors as layerI.0.downsample.1: left out)
  conv2                             conv
update_block.encoder.convc1, ...  update_block.motion_encoder.convcorr1.0, ...
update_block.gru.convz1, ...      update_block.recurrent_block.convgru1.convz, ...
update_block.flow_head.           the same
update_block.mask.0, .2           mask_predictor.convrelu.0, .conv
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from nodes.tracker.raft.network import build_network
from stream.weights.loading import load_strictly, read_tensors

WEIGHTS = "raft"  # their name in tools/fetch_weights.py
PARALLEL = "module."  # in front of every name of the authors' files
REPEATED = re.compile(r"cnet\.layer[23]\.0\.norm3\.")  # one module under two names
RULES = [  # pattern of the authors' name -> torchvision's
    (r"^fnet\.", "feature_encoder."),
    (r"^cnet\.", "context_encoder."),
    (r"^(feature|context)_encoder\.conv1\.", r"\1_encoder.convnormrelu.0."),
    (r"^(feature|context)_encoder\.norm1\.", r"\1_encoder.convnormrelu.1."),
    (r"^(feature|context)_encoder\.conv2\.", r"\1_encoder.conv."),
    (r"(_encoder\.layer\d\.\d)\.conv([12])\.", r"\1.convnormrelu\2.0."),
    (r"(_encoder\.layer\d\.\d)\.norm([12])\.", r"\1.convnormrelu\2.1."),
    (r"^update_block\.encoder\.convc([12])\.", r"update_block.motion_encoder.convcorr\1.0."),
    (r"^update_block\.encoder\.convf([12])\.", r"update_block.motion_encoder.convflow\1.0."),
    (r"^update_block\.encoder\.conv\.", "update_block.motion_encoder.conv.0."),
    (r"^update_block\.gru\.conv([zrq])([12])\.", r"update_block.recurrent_block.convgru\2.conv\1."),
    (r"^update_block\.mask\.0\.", "mask_predictor.convrelu.0."),
    (r"^update_block\.mask\.2\.", "mask_predictor.conv."),
]


def load_raft(path: Path) -> Any:
    """`raft_large` with the weights of a checkpoint, on the CPU, in float32; CheckpointError says what is wrong."""
    file = path.expanduser()
    module = build_network()
    load_strictly(module, to_torchvision(read_tensors(file, WEIGHTS)), file, WEIGHTS)
    return module.eval()


def to_torchvision(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by torchvision's names; those that have them already stay as they are."""
    plain = {name.removeprefix(PARALLEL): tensor for name, tensor in tensors.items()}
    return {torchvision_name(name): tensor for name, tensor in plain.items() if not REPEATED.match(name)}


def torchvision_name(name: str) -> str:
    """What torchvision calls a tensor of the authors."""
    for pattern, new in RULES:
        name = re.sub(pattern, new, name)
    return name
