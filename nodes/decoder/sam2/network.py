"""Frames and prompts in, logits out: SAM 2.1 and EdgeTAM behind the protocol of nodes/decoder/sam/protocol.py.

As image predictors: each frame for itself, points, box and the mask of the pass before as prompts. A frame is stretched
to the square input, whatever its shape, and nothing is padded.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodes.decoder.sam.mask_decoder import PromptDecoder, Shared
from nodes.decoder.sam.network import PromptedFrame, Sam, check_side
from nodes.decoder.sam.protocol import SamAnswer, SamEmbedding, check_numbers
from nodes.decoder.sam2.checkpoint import load_network
from nodes.decoder.sam2.image_encoder import PyramidEncoder
from nodes.decoder.sam2.mask_decoder import LevelsDecoder
from nodes.decoder.sam2.model_registry import TRAINED_SIDE
from stream.arrays import Array
from stream.errors import ConfigError
from stream.weights.compiling import Wish
from stream.weights.devices import choose_device, choose_precision, reporting_memory, upload

COARSEST = 32  # px: the side is a multiple of it


def load_sam2(
    backend: str,
    model: str,
    checkpoint: Path,
    device: str = "auto",
    precision: str = "float32",
    side: int = TRAINED_SIDE,
    compile: Wish = False,
) -> Sam2:
    """The network that `decoder.backend` and `decoder.model` name, with the weights of a checkpoint.

    ConfigError for what can't go together, CheckpointError for a file that is not theirs.
    """
    where = choose_device("decoder.device", device)
    dtype = choose_precision("decoder.precision", precision, where)
    check_side(side)
    if side % COARSEST:
        raise ConfigError(f"decoder.side is {side}; {backend} needs a multiple of {COARSEST} px, for example 512")
    return Sam2(load_network(backend, model, checkpoint), where, dtype, side, compile)


class Sam2(Sam):
    """A network of the SAM 2 family on one device; `network` is the package's module with its weights."""

    def _parts(self, network: Any) -> tuple[nn.Module, PromptDecoder]:
        return PyramidEncoder(network), LevelsDecoder(network, self.grid)

    def _hold(self, levels: Sequence[Tensor], frame_size: tuple[int, ...]) -> SamEmbedding:
        """The embedding of a frame (H, W) of its features: (1, 256, g, g), (1, 2 g, 2 g, 64), (1, 4 g, 4 g, 32)."""
        return SamEmbedding((frame_size[0], frame_size[1]), (self.side, self.side), self.side, tuple(levels))

    def hold_levels(self, levels: Sequence[Tensor], frame_size: tuple[int, ...]) -> SamEmbedding:
        """The same, of features that somebody else has computed."""
        check_numbers(bool(torch.stack([level.isfinite().all() for level in levels]).all()))
        return self._hold(levels, frame_size)

    def prepare(self, rgb: Array) -> Tensor:
        """(3, side, side) float32: the frame, stretched to the square and normalised."""
        size = (self.side, self.side)
        image = upload(rgb, self.device)
        if self.device.type == "cpu" and image.shape[:2] != size:  # levels as they are, as the package does it
            resized = functional.interpolate(image.permute(2, 0, 1)[None], size, mode="bilinear", antialias=True)
            image = resized[0].permute(1, 2, 0)
        return self.fit(image)

    def fit(self, image: Tensor) -> Tensor:
        """The same of a frame (H, W, 3) uint8 on the device: a GPU can't resize levels, and rounds afterwards."""
        size, image = (self.side, self.side), image.permute(2, 0, 1).float()
        if image.shape[1:] != size:
            image = functional.interpolate(image[None], size, mode="bilinear", antialias=True)[0].round()
        return (image - self.mean) / self.std

    def upscale(self, low_res: Tensor, embedding: SamEmbedding) -> Tensor:
        """Logits (B, H, W) at frame size of (B, 256, 256), bilinear."""
        with reporting_memory("upscaling masks"), torch.inference_mode():
            logits = self._native(low_res)[:, None]
            return functional.interpolate(logits, embedding.frame_size, mode="bilinear")[:, 0]

    def share(self, embedding: SamEmbedding) -> Shared:
        """What the passes on a frame share."""
        assert isinstance(self.decoder, LevelsDecoder)
        with reporting_memory("decoding masks"), torch.inference_mode():
            features, middle, fine = (level.to(self.decoder.dtype) for level in embedding.features)
            return self.decoder.share_levels(features, middle, fine)

    def predict_together(self, frames: Sequence[PromptedFrame]) -> list[SamAnswer]:
        """The answers for several frames, one after the other: a pass has the finer levels of one frame."""
        return [super(Sam2, self).predict_together([frame])[0] for frame in frames]
