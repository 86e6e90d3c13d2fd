"""The name of a network in, the package's module with its published tensors out; nothing here computes.

| backend | models | package | published as |
|---|---|---|---|
| sam | vit_b, vit_l, vit_h | segment-anything (Apache-2.0) | sam_vit_*.pth |
| hq_sam | vit_b, vit_l, vit_h, vit_tiny | segment-anything-hq (Apache-2.0, TinyViT of it MIT) | sam_hq_vit_*.pth |
| mobile_sam | vit_tiny | segment-anything-hq, which has it as its baseline | mobile_sam.pt |
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from stream.errors import ConfigError
from stream.settings.options import MASK_BACKENDS
from stream.weights.loading import load_strictly, read_tensors
from stream.weights.torchvision_ops import import_quietly

TRAINED_SIDE = 1024  # px of the square input
REGISTRIES = {  # backend -> module, its table of builders
    "sam": ("segment_anything", "sam_model_registry"),
    "hq_sam": ("segment_anything_hq.build_sam", "sam_model_registry"),
    "mobile_sam": ("segment_anything_hq.build_sam_baseline", "sam_model_registry_baseline"),
}
MODELS = {backend: MASK_BACKENDS[backend].models for backend in REGISTRIES}


def published_name(backend: str, model: str) -> str:
    """What tools/fetch_weights.py calls the weights of a network."""
    return backend if backend == "mobile_sam" else f"{backend}_{model}"


def load_network(backend: str, model: str, checkpoint: Path) -> Any:
    """The package's `Sam` with the tensors of a checkpoint, every one of them and no other. CheckpointError if not."""
    sam = build_network(backend, model)
    what = published_name(backend, model)
    load_strictly(sam, read_tensors(checkpoint, what), checkpoint, what)
    return sam.eval()  # only now: TinyViT copies its attention biases when it is set to eval


def build_network(backend: str, model: str) -> Any:
    """The package's `Sam`, its tensors still to come: drawing 637 million random numbers first would take long."""
    if model not in MODELS.get(backend, ()):
        choices = "; ".join(f"{name}: {', '.join(models)}" for name, models in MODELS.items())
        raise ConfigError(
            f"decoder.model is {model!r}, which decoder.backend {backend!r} does not have; there are {choices}"
        )
    module, table = REGISTRIES[backend]
    build = getattr(import_quietly(module), table)[model]
    # TinyViT can't be built without memory: its tables of attention offsets are no tensors of a checkpoint.
    with torch.device("cpu" if model == "vit_tiny" else "meta"):
        sam = build()
    return sam.requires_grad_(False)
