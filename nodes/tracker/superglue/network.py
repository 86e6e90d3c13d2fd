"""Pictures in, SuperPoint's keypoints and SuperGlue's matches out: the networks of `transformers`, run part by part.

As shipped the package answers otherwise than the authors' code does, in two places:

    keypoints    those in the last four columns and rows stay, since the border is measured on eight times the size.
                 They are dropped here.
    transport    the shorter of two lists of keypoints is padded, and the optimal transport is computed on the padded
                 size. Here it sees the real keypoints alone, and so do the layers before it: nothing is padded.

Run in parts, a frame's keypoints are also found once, however many others it is matched with.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodes.tracker.matching.matcher import NO_MATCHES, Keypoints, Matches
from stream.arrays import Array
from stream.errors import ModelError
from stream.weights.devices import reporting_memory
from stream.weights.torchvision_ops import prepare_torchvision

STRIDE = 8  # px a cell of SuperPoint's maps
BORDER = 4  # px at each edge of these maps where no keypoint may lie
NMS_RADIUS = 3  # px
LEAST_SCORE = 0.005  # of a keypoint
ITERATIONS = 20  # of the optimal transport
LEAST_MATCH = 0.2  # score above which a pair is a match
GRAY = (0.2989, 0.587, 0.114)  # shares of red, green and blue
PACKAGE = "transformers.models.superglue"

Watch = dict[str, list[Tensor]]


@dataclass(frozen=True)
class SuperPointLooks:
    """What SuperGlue sees of a picture's keypoints."""

    xy: Tensor  # (K, 2) float32, px
    scores: Tensor  # (K,)
    descriptors: Tensor  # (K, 256), each of length 1


class SuperGlue:
    """A `Matcher`: SuperPoint and SuperGlue on their device."""

    def __init__(self, module: Any, most_keypoints: int = 0) -> None:
        self.module = module.eval()
        self.most_keypoints = most_keypoints  # of a picture, the strongest; 0: all
        self.device: torch.device = next(module.parameters()).device
        self._functions = _package("modeling_superglue")

    @reporting_memory("finding keypoints by SuperPoint")
    @torch.inference_mode()
    def detect(self, rgb: Array) -> Keypoints:
        """The keypoints of a picture (H, W, 3) uint8, row by row, on whole px."""
        detector = self.module.keypoint_detector
        gray = to_gray(torch.from_numpy(rgb.copy())).to(self.device)
        maps = detector.encoder(gray[None, None].float() / 255).last_hidden_state
        xy, scores = detector.keypoint_decoder(maps)
        inside = (xy < torch.tensor(border_ends(maps), device=self.device)).all(dim=1)
        xy, scores = xy[inside], scores[inside]
        if 0 < self.most_keypoints < len(xy):
            strongest = scores.topk(self.most_keypoints).indices.sort().values
            xy, scores = xy[strongest], scores[strongest]
        descriptors = detector.descriptor_decoder(maps, xy[None])
        _refuse_nan(descriptors, "SuperPoint")
        looks = SuperPointLooks(xy, scores, descriptors)
        return Keypoints(xy.cpu().numpy().astype(np.float32), looks, (rgb.shape[0], rgb.shape[1]))

    @reporting_memory("matching keypoints by SuperGlue")
    def match(self, before: Keypoints, after: Keypoints) -> Matches:
        """The pairs that are each other's best, with a score above 0.2."""
        if not (len(before) and len(after)):
            return NO_MATCHES
        best, scores = mutual_matches(self.transport(before, after))
        matched = np.flatnonzero((best >= 0) & (scores > LEAST_MATCH))
        return Matches(matched, best[matched], scores[matched])

    @torch.inference_mode()
    def transport(self, before: Keypoints, after: Keypoints, watch: Watch | None = None) -> Tensor:
        """(m + 1, n + 1): log of the optimal transport of m keypoints to n, times m + n; the bins last.

        `watch` is given what the layers compute, of both pictures.
        """
        sides = [before, after]
        inputs = [self._encoder_input(k) for k in sides]
        encoded = [self.module.keypoint_encoder(xy, scores)[0] for xy, scores in inputs]
        states = [k.looks.descriptors[None] + e for k, e in zip(sides, encoded, strict=True)]
        deltas = []
        for layer, kind in zip(self.module.gnn.layers, self.module.config.gnn_layers_types, strict=True):
            others = states[::-1] if kind == "cross" else [None, None]
            change = [layer(s, encoder_hidden_states=o)[0] for s, o in zip(states, others, strict=True)]
            states = [s + c for s, c in zip(states, change, strict=True)]
            deltas.append(change)
        final = [self.module.final_projection(s) for s in states]
        scores = final[0] @ final[1].transpose(1, 2) / self.module.config.hidden_size**0.5
        result: Tensor = self._functions.log_optimal_transport(scores, self.module.bin_score, iterations=ITERATIONS)[0]
        _refuse_nan(result, "SuperGlue")
        if watch is not None:
            watch |= {"input": [torch.cat([xy, s[..., None]], dim=2) for xy, s in inputs], "encoded": encoded}
            watch |= {f"delta{i}": change for i, change in enumerate(deltas)}
            watch |= {"out": states, "final": final, "scores": [scores]}
        return result

    def _encoder_input(self, keypoints: Keypoints) -> tuple[Tensor, Tensor]:
        """(1, K, 2) positions about the middle of the picture, by its size, and (1, K) scores."""
        height, width = keypoints.size
        xy: Tensor = self._functions.normalize_keypoints(keypoints.looks.xy[None], height, width)
        return xy, keypoints.looks.scores[None]


def mutual_matches(log_transport: Tensor) -> tuple[Array, Array]:
    """(m,) int64, the keypoint that is each one's best and the other way round, -1 for none; (m,) their scores."""
    inner = log_transport[:-1, :-1]
    best, back = inner.max(dim=1), inner.max(dim=0).indices
    mutual = back[best.indices] == torch.arange(len(inner), device=inner.device)
    found = torch.where(mutual, best.indices, torch.full_like(best.indices, -1))
    return found.cpu().numpy(), torch.where(mutual, best.values.exp(), 0).cpu().numpy()


def to_gray(rgb: Tensor) -> Tensor:
    """(H, W) uint8 of a picture (H, W, 3): weighted in float32, from red to blue, and cut to whole numbers.

    In float64 another number comes out here and there, and with it other keypoints.
    """
    red, green, blue = (share * channel for share, channel in zip(GRAY, rgb.unbind(-1), strict=True))
    return (red + green + blue).to(torch.uint8)


def border_ends(maps: Tensor) -> tuple[int, int]:
    """Where the border begins at the right and below, px."""
    return STRIDE * maps.shape[-1] - BORDER, STRIDE * maps.shape[-2] - BORDER


def build_network() -> Any:
    """SuperGlue with its SuperPoint, their tensors still to come."""
    modeling, configuration = _package("modeling_superglue"), _package("configuration_superglue")
    superpoint = importlib.import_module("transformers.models.superpoint.configuration_superpoint")
    config = configuration.SuperGlueConfig(
        keypoint_detector_config=superpoint.SuperPointConfig(
            keypoint_threshold=LEAST_SCORE, max_keypoints=-1, nms_radius=NMS_RADIUS, border_removal_distance=BORDER
        ),
        sinkhorn_iterations=ITERATIONS,
        matching_threshold=LEAST_MATCH,
    )
    with torch.device("meta"):  # weights that are replaced at once need no memory and no random numbers
        return modeling.SuperGlueForKeypointMatching(config).requires_grad_(False)


def _package(name: str) -> ModuleType:
    prepare_torchvision()
    return importlib.import_module(f"{PACKAGE}.{name}")


def _refuse_nan(values: Tensor, name: str) -> None:
    if not bool(values.isfinite().all()):
        raise ModelError(f"{name} computed NaN or infinity: its weights are broken")
