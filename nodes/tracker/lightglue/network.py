"""Pictures in, DISK's keypoints and LightGlue's matches out: the networks of `kornia`.

Its own constructors fetch weights; ours come from files. Everything is as the package has it: keypoints are strict
maxima of 5x5 px, LightGlue leaves out layers and keypoints that it is sure of, and a match has a score above 0.1.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodes.tracker.matching.matcher import NO_MATCHES, Keypoints, Matches
from stream.arrays import Array
from stream.errors import ModelError
from stream.weights.devices import reporting_memory
from stream.weights.torchvision_ops import prepare_torchvision

CHANNELS = 128  # of DISK's descriptors


@dataclass(frozen=True)
class DiskLooks:
    """What LightGlue sees of a picture's keypoints."""

    xy: Tensor  # (K, 2) float32, px
    descriptors: Tensor  # (K, 128), each of length 1


class LightGlue:
    """A `Matcher`: DISK and LightGlue on their device."""

    def __init__(self, disk: Any, lightglue: Any, most_keypoints: int = 0) -> None:
        self.disk = disk.eval()
        self.lightglue = lightglue.eval()
        self.most_keypoints = most_keypoints  # of a picture, the strongest; 0: all
        self.device: torch.device = next(disk.parameters()).device

    @reporting_memory("finding keypoints by DISK")
    @torch.inference_mode()
    def detect(self, rgb: Array) -> Keypoints:
        """The keypoints of a picture (H, W, 3) uint8, row by row, on whole px."""
        image_bchw = torch.from_numpy(rgb.copy()).to(self.device).permute(2, 0, 1)[None].float() / 255
        [found] = self.disk(image_bchw, n=self.most_keypoints or None, pad_if_not_divisible=True)
        _refuse_nan(found.descriptors, "DISK")
        xy = found.keypoints.cpu().numpy().astype(np.float32)
        return Keypoints(xy, DiskLooks(found.keypoints, found.descriptors), (rgb.shape[0], rgb.shape[1]))

    @reporting_memory("matching keypoints by LightGlue")
    @torch.inference_mode()
    def match(self, before: Keypoints, after: Keypoints) -> Matches:
        """The pairs that are each other's best, with a score above 0.1."""
        if not (len(before) and len(after)):
            return NO_MATCHES
        found = self.lightglue({"image0": self._input(before), "image1": self._input(after)})
        pairs, scores = found["matches"][0].cpu().numpy(), found["scores"][0]
        _refuse_nan(found["matching_scores0"], "LightGlue")
        return Matches(pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64), scores.cpu().numpy())

    def _input(self, keypoints: Keypoints) -> dict[str, Tensor]:
        height, width = keypoints.size
        return {
            "keypoints": keypoints.looks.xy[None],
            "descriptors": keypoints.looks.descriptors[None],
            "image_size": torch.tensor([[width, height]], device=self.device),
        }


def build_networks() -> tuple[Any, Any]:
    """DISK and LightGlue, their tensors still to come; LightGlue's thresholds are its own, no weights."""
    prepare_torchvision()
    package = importlib.import_module("kornia.feature")
    with torch.device("meta"):  # weights that are replaced at once need no memory and no random numbers
        disk = package.DISK(CHANNELS).requires_grad_(False)
        lightglue = package.LightGlue(features=None, input_dim=CHANNELS).requires_grad_(False)
    return disk, lightglue


def thresholds(lightglue: Any) -> Tensor:
    """(L,) float32: how sure it has to be after each layer to leave out the others; the published file lacks them."""
    return torch.tensor([lightglue.confidence_threshold(i) for i in range(lightglue.conf.n_layers)])


def _refuse_nan(values: Tensor, name: str) -> None:
    if not bool(values.isfinite().all()):
        raise ModelError(f"{name} computed NaN or infinity: its weights are broken")
