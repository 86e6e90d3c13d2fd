"""The networks that the GPU is measured with, and their deterministic weights as checkpoint files."""

from __future__ import annotations

from pathlib import Path

import torch

from nodes.tracker.pips.network import Pips
from tools.goldens.sam_weights import sam_weights
from tools.goldens.weights import pips_weights

SamName = tuple[str, str]  # decoder.backend, decoder.model

SAM_NETWORKS: dict[SamName, str] = {
    ("sam", "vit_b"): "SAM ViT-B",
    ("sam", "vit_h"): "SAM ViT-H",
    ("mobile_sam", "vit_tiny"): "MobileSAM",
    ("hq_sam", "vit_b"): "HQ-SAM ViT-B",
}
QUICK = ("sam", "vit_b")  # with an encoder of nothing
MOVES, SEES = "delta_block.to_delta.15.weight", "vis_predictor.0.weight"  # the layers that say where, and whether
CLEARLY = 5.0  # logit


def sam_names(quick: bool) -> tuple[SamName, ...]:
    """Those that are measured."""
    return (QUICK,) if quick else tuple(SAM_NETWORKS)


def pips_network(device: torch.device, dtype: torch.dtype) -> Pips:
    """PIPS on a device."""
    network = Pips()
    network.load_state_dict(pips_weights())
    network = network.eval().to(device)
    network.compute_in(dtype)
    return network


def write_sam(name: SamName, folder: Path) -> Path:
    """A checkpoint of such a network."""
    path = folder / f"{'_'.join(name)}.pth"
    torch.save(sam_weights(0, *name), path)
    return path


def write_still_pips(folder: Path) -> Path:
    """A checkpoint of PIPS whose points stay where they are, in sight: every frame costs what the dearest one does.

    Random ones would drift out of the picture, and SAM would be asked for nothing.
    """
    weights = pips_weights()
    for name in (MOVES, f"{MOVES[:-6]}bias", SEES):
        weights[name] = torch.zeros_like(weights[name])
    weights[f"{SEES[:-6]}bias"] = torch.full_like(weights[f"{SEES[:-6]}bias"], CLEARLY)
    path = folder / "pips.pth"
    torch.save({"model_state_dict": weights}, path)
    return path
