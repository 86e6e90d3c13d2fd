"""Frames in, RAFT's flow between two of them out: torchvision's `raft_large`, run part by part.

Its own `forward` encodes both frames of every pair. Here a frame is encoded once, and a pair costs the updates alone.
The encoder of features normalises each picture by itself, so frames that are encoded apart give the same numbers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from stream.errors import ConfigError
from stream.geometry import Size
from stream.weights.torchvision_ops import import_quietly

UPDATES = 32  # SAM-PT's; torchvision's default of 12 leaves points up to 18 px away after 7 frames
STRIDE = 8  # px of the frame a px of the maps
SMALLEST = 128  # px of a padded side: the coarsest level of the correlation needs 2 x 2 px
HIDDEN = 128  # channels of the context that the updates begin with; they see the rest
UPSAMPLED = 9  # neighbours that a px of the full flow is mixed from


def build_network() -> Any:
    """torchvision's `raft_large`, its tensors still to come."""
    build = import_quietly("torchvision.models.optical_flow").raft_large
    with torch.device("meta"):  # weights that are replaced at once need no memory and no random numbers
        return build(weights=None).requires_grad_(False)


class Raft:
    """`raft_large` on its device: encode a frame once, then the flow from any frame to any other."""

    def __init__(self, module: Any, updates: int = UPDATES, precision: torch.dtype = torch.float32) -> None:
        self.module = module.eval()
        self.updates = updates
        self.precision = precision  # of encoders and updates; the correlation stays float32
        self.device: torch.device = next(module.parameters()).device
        self.encoded_frames = 0  # how many frames went through the encoder of features
        self.flows = 0  # how many pairs went through the updates

    @torch.inference_mode()
    def encode(self, rgb: Tensor) -> Tensor:
        """(1, 3, H8, W8) float32 in -1..1 of a frame (H, W, 3) uint8: padded all round to multiples of 8."""
        height, width = rgb.shape[:2]
        left, right, top, bottom = padding((height, width))
        if min(height + top + bottom, width + left + right) < SMALLEST:
            raise ConfigError(
                f"RAFT was given a frame of {height}x{width} px (height x width), and needs {SMALLEST} or more a side: "
                "give tracker.size a larger one"
            )
        image_bchw = 2 * (rgb.to(self.device).permute(2, 0, 1).unsqueeze(0).float() / 255) - 1
        return functional.pad(image_bchw, [left, right, top, bottom], mode="replicate")

    @torch.inference_mode()
    def features(self, image_bchw: Tensor) -> Tensor:
        """(1, 256, h, w) float32: what is compared between frames; 9 MiB at 576x1024."""
        self.encoded_frames += 1
        with self._autocast():
            features: Tensor = self.module.feature_encoder(image_bchw)
        return features.float()

    @torch.inference_mode()
    def context(self, image_bchw: Tensor) -> Tensor:
        """(1, 256, h, w) float32: what the updates of a flow that leaves this frame begin with and see."""
        with self._autocast():
            context: Tensor = self.module.context_encoder(image_bchw)
        return context.float()

    @torch.inference_mode()
    def flow(
        self, before: Tensor, context: Tensor, after: Tensor, watch: dict[str, list[Tensor]] | None = None
    ) -> Tensor:
        """(2, H8, W8) float32, px of the padded frame, x first: from the frame of `before` and `context` to `after`.

        `watch` is given the low-resolution flow after each update, and what the first one computed.
        """
        self.flows += 1
        module, block = self.module, self.module.corr_block
        block.build_pyramid(before, after)
        hidden, seen = context[:, :HIDDEN], context[:, HIDDEN:]
        hidden, seen = torch.tanh(hidden), functional.relu(seen)
        start = _grid(before)
        at = start
        try:
            for _ in range(self.updates):
                correlation = block.index_pyramid(centroids_coords=at)
                with self._autocast():
                    hidden, change = module.update_block(hidden, seen, correlation, at - start)
                at = at + change.float()
                if watch is not None:
                    _note(watch, correlation=correlation, hidden=hidden, change=change, low=at - start)
        finally:
            block.corr_pyramid = []  # all pairs of 576x1024 are 450 MiB: not beyond the call
        with self._autocast():
            mask = module.mask_predictor(hidden)
        if watch is not None:
            _note(watch, mask=mask)
        return upsample(at - start, mask.float())

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=self.precision, enabled=self.precision != torch.float32)


def padding(size: Size) -> tuple[int, int, int, int]:
    """px left, right, top, bottom, that make both sides multiples of 8; an odd px goes right or below."""
    (up, down), (left, right) = ((-n % STRIDE // 2, -n % STRIDE - -n % STRIDE // 2) for n in size)
    return left, right, up, down


def upsample(flow: Tensor, mask: Tensor) -> Tensor:
    """(2, 8h, 8w) of a flow (1, 2, h, w) in units of 8 px: each px a weighted mean of its nine neighbours."""
    height, width = flow.shape[-2:]
    weights = mask.view(1, UPSAMPLED, STRIDE, STRIDE, height, width).softmax(dim=1)
    neighbours = functional.unfold(STRIDE * flow, kernel_size=3, padding=1).view(2, UPSAMPLED, 1, 1, height, width)
    fine = (weights * neighbours).sum(dim=1)  # (2, 8, 8, h, w)
    return fine.permute(0, 3, 1, 4, 2).reshape(2, STRIDE * height, STRIDE * width)


def _grid(maps: Tensor) -> Tensor:
    """(1, 2, h, w): each px's own position, x first."""
    height, width = maps.shape[-2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y]).unsqueeze(0).float().to(maps.device)


def _note(watch: dict[str, list[Tensor]], **values: Tensor) -> None:
    for name, value in values.items():
        watch.setdefault(name, []).append(value.clone())
