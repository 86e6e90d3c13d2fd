"""A SAM that draws a disc round each positive point and cuts one out round each negative; it keeps its prompts."""

from __future__ import annotations

import numpy as np
import torch

from nodes.decoder.sam.protocol import LOW_RES, PADDING, SamAnswer, SamEmbedding

SIDE = 256  # a small square: it is upscaled faster
REACH = 12.0  # low-res px: the radius of a disc


class DiscSam:
    """A `SamNetwork` whose logits are a disc's distance, and whose predicted IoU is given."""

    device = torch.device("cpu")
    side = SIDE
    is_asynchronous = False

    def __init__(self, iou: float = 0.9, reach: float = REACH) -> None:
        self.iou, self.reach = iou, reach
        self.calls = []  # SamPrompts of each pass
        self.encoded = 0

    def encode(self, rgb) -> SamEmbedding:
        self.encoded += 1
        height, width = rgb.shape[:2]
        scale = SIDE / max(height, width)
        return SamEmbedding((height, width), (round(height * scale), round(width * scale)), SIDE, None)

    def predict(self, embedding, prompts) -> SamAnswer:
        self.calls.append(prompts)
        scale = embedding.input_size[1] / embedding.frame_size[1] * LOW_RES / SIDE
        rows, columns = np.mgrid[:LOW_RES, :LOW_RES]
        logits = np.full((len(prompts.labels), LOW_RES, LOW_RES), -20.0, np.float32)
        for out, xy, labels in zip(logits, prompts.xy, prompts.labels, strict=True):
            for wanted in (1, 0):
                for x, y in xy[(labels == wanted) & (labels != PADDING)] * scale:
                    disc = self.reach - np.hypot(columns - x, rows - y)
                    out[:] = np.maximum(out, disc) if wanted else np.minimum(out, -disc)
        iou = np.broadcast_to(np.asarray(self.iou, np.float32), len(logits)).copy()
        return SamAnswer(torch.from_numpy(logits), iou)

    def upscale(self, low_res, embedding) -> torch.Tensor:
        square = torch.nn.functional.interpolate(low_res[:, None], (SIDE, SIDE), mode="bilinear", align_corners=False)
        h, w = embedding.input_size
        size = embedding.frame_size
        return torch.nn.functional.interpolate(square[..., :h, :w], size, mode="bilinear", align_corners=False)[:, 0]
