"""Frames and prompts in, logits out: SAM, HQ-SAM and MobileSAM behind the protocol of protocol.py (paper, 3.1).

A frame is encoded once and its embedding stays on the device. Prompts come in frame px and are scaled here, points and
boxes alike, so that frames may have any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nodes.decoder.sam.image_encoder import VitEncoder
from nodes.decoder.sam.mask_decoder import PromptDecoder, Shared, stack
from nodes.decoder.sam.model_registry import TRAINED_SIDE, load_network
from nodes.decoder.sam.object_threads import ObjectThreads
from nodes.decoder.sam.prompt_batches import join, runs_of, split
from nodes.decoder.sam.protocol import (
    LOW_RES,
    PADDING,
    DevicePrompts,
    SamAnswer,
    SamEmbedding,
    SamPrompts,
    check_numbers,
)
from nodes.decoder.sam.tiny_vit import TinyEncoder
from stream.arrays import Array
from stream.errors import ConfigError
from stream.weights.devices import choose_device, choose_precision, reporting_memory

PATCH = 16  # px
MEAN = (123.675, 116.28, 103.53)  # of RGB, 0..255
STD = (58.395, 57.12, 57.375)
SMALLEST_SIDE = 256  # px: 16 patches, little more than one window of attention


def load_sam(
    backend: str,
    model: str,
    checkpoint: Path,
    device: str = "auto",
    precision: str = "float32",
    side: int = TRAINED_SIDE,
    compile: bool = False,
) -> Sam:
    """The network that `decoder.backend` and `decoder.model` name, with the weights of a checkpoint.

    ConfigError for what can't go together, CheckpointError for a file that is not theirs.
    """
    where = choose_device("decoder.device", device)
    dtype = choose_precision("decoder.precision", precision, where)
    check_side(side)
    return Sam(load_network(backend, model, checkpoint), where, dtype, side, compile)


def check_side(side: int) -> None:
    """ConfigError for a side of the input square that can't be divided into patches or is larger than trained."""
    if side % PATCH or not SMALLEST_SIDE <= side <= TRAINED_SIDE:
        raise ConfigError(
            f"decoder.side is {side}; needs {SMALLEST_SIDE} to {TRAINED_SIDE} px in steps of {PATCH}, for example 512"
        )


class Sam:
    """A network of the SAM family on one device; `network` is the package's module with its weights."""

    def __init__(
        self,
        network: Any,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
        side: int = TRAINED_SIDE,
        compile: bool = False,
    ) -> None:
        self.device, self.side, self.dtype = device, side, dtype
        self.is_asynchronous = device.type != "cpu"
        self.grid = side // PATCH  # patches a side; the network's own logits have four times as many px
        encoder, decoder = self._parts(network)
        self.decoder = decoder.to(device)
        self.encoder: Any = encoder.to(device, dtype)
        if compile:
            self._compile(encoder)
        self.mean, self.std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (MEAN, STD))
        # A GPU is only full with all objects at once. On a CPU each has a thread of its own, and its tensors stay in
        # the cache: a tenth to a quarter less work an object than with five at once.
        self.at_once = 1 if device.type == "cpu" else 64
        self.threads = ObjectThreads()
        self._shared: tuple[Any, Shared] | None = None  # of the newest embedding with prompts

    def _parts(self, network: Any) -> tuple[nn.Module, PromptDecoder]:
        """The image encoder and the prompt decoder, with the network's weights."""
        kind = VitEncoder if hasattr(network.image_encoder, "pos_embed") else TinyEncoder
        return kind(network.image_encoder, self.side), PromptDecoder(network, self.grid)

    def _compile(self, encoder: nn.Module) -> None:
        """Compile the encoder, here and not on the first frame: it takes a minute or more."""
        # Block by block: they are alike, so that two are compiled instead of up to 32.
        for part in encoder.blocks if isinstance(encoder, VitEncoder) else [encoder]:
            part.compile()
        try:
            with torch.inference_mode():
                encoder(torch.zeros(1, 3, self.side, self.side, device=self.device, dtype=self.dtype))
        except RuntimeError as error:  # no compiler, or none that works
            first = str(error).partition("\n")[0]
            raise ConfigError(
                f"decoder.compile is true, and PyTorch can't compile here: {first}; set it to false"
            ) from None

    def encode(self, rgb: Array) -> SamEmbedding:
        """The embedding of a frame, (H, W, 3) uint8 of any size."""
        [embedding] = self.encode_together([rgb])
        return embedding

    def encode_together(self, frames: Sequence[Array]) -> list[SamEmbedding]:
        """The embeddings of frames, perhaps of several cameras and sizes: on a GPU by one run of the encoder.

        A CPU is full with one frame: two together take as long as two apart, and every frame's numbers would depend on
        which others come with it (docs/benchmarks.md).
        """
        at_once = 1 if self.device.type == "cpu" else len(frames)
        embeddings = []
        with reporting_memory("encoding a frame"), torch.inference_mode():
            for start in range(0, len(frames), at_once):
                part = frames[start : start + at_once]
                features, early = self.encoder(torch.stack([self.prepare(rgb) for rgb in part]).to(self.dtype))
                embeddings += [
                    self.hold(features[i : i + 1], rgb.shape[:2], early[i : i + 1]) for i, rgb in enumerate(part)
                ]
        return embeddings

    def hold(self, features: Tensor, frame_size: tuple[int, ...], early: Tensor | None = None) -> SamEmbedding:
        """The embedding of a frame (H, W) of its features (1, 256, grid, grid); HQ-SAM needs the early ones as well."""
        height, width = frame_size
        with reporting_memory("encoding a frame"), torch.inference_mode():
            features = features.to(self.device)
            check_numbers(bool(features.isfinite().all()))
            fine = None
            if self.decoder.hq is not None:
                assert early is not None, "HQ-SAM needs early features"
                fine = self.decoder.hq.fuse(features.float(), early.to(self.device).float())
            return SamEmbedding((height, width), fitted((height, width), self.side), self.side, (features, fine))

    def prepare(self, rgb: Array) -> Tensor:
        """(3, side, side) float32: the frame, its longest side fitted, normalised, padded at the right and below."""
        height, width = fitted(rgb.shape[:2], self.side)
        if rgb.shape[:2] != (height, width) and self.device.type == "cpu":
            from PIL import Image  # the very resizing that SAM was trained and is published with

            rgb = np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))
        image = torch.tensor(np.ascontiguousarray(rgb), device=self.device).permute(2, 0, 1).float()
        if image.shape[1:] != (height, width):  # a GPU does it in no time; at most one of 255 levels beside Pillow's
            image = functional.interpolate(image[None], (height, width), mode="bilinear", antialias=True)[0].round()
        return functional.pad((image - self.mean) / self.std, (0, self.side - width, 0, self.side - height))

    def predict(self, embedding: SamEmbedding, prompts: SamPrompts) -> SamAnswer:
        """All prompts in one pass: logits (B, 256, 256) and predicted IoU (B,), three of each with `multimask`."""
        [answer] = self.predict_together([PromptedFrame(embedding, self._share(embedding), prompts)])
        return answer

    def predict_together(self, frames: Sequence[PromptedFrame]) -> list[SamAnswer]:
        """The answers for several frames, all with `multimask` or none: on a GPU by one run for all their objects."""
        with reporting_memory("decoding masks"), torch.inference_mode():
            pieces = [
                (i, PromptedFrame(frame.embedding, frame.shared, part))
                for i, frame in enumerate(frames)
                for part in split(frame.prompts, self.at_once)
            ]
            runs = list(runs_of([len(piece.prompts.labels) for _, piece in pieces], self.at_once))
            answers = self.threads.each(lambda run: self._pass_together([pieces[k][1] for k in run]), runs)
            parts: list[list[tuple[Tensor, Tensor]]] = [[] for _ in frames]
            for run, (low_res, iou) in zip(runs, answers, strict=True):
                sizes = [len(pieces[k][1].prompts.labels) for k in run]
                sizes = [n * len(iou) // sum(sizes) for n in sizes]  # three masks an object with `multimask`
                for k, *part in zip(run, torch.split(low_res, sizes), torch.split(iou, sizes), strict=True):
                    parts[pieces[k][0]].append((part[0], part[1]))
            return [_answer(part) for part in parts]

    def predict_unread(self, embedding: SamEmbedding, prompts: DevicePrompts) -> tuple[Tensor, Tensor]:
        """As `predict`, with nothing read back: logits (B, 256, 256) and predicted IoU (B,), not checked."""
        with reporting_memory("decoding masks"), torch.inference_mode():
            return self._pass(self._share(embedding), [(embedding, len(prompts.xy))], prompts)

    def upscale(self, low_res: Tensor, embedding: SamEmbedding) -> Tensor:
        """Logits (B, H, W) at frame size of (B, 256, 256): bilinear to the input, its padding cut off, to the frame."""
        with reporting_memory("upscaling masks"), torch.inference_mode():
            logits = functional.interpolate(self._native(low_res)[:, None], (self.side, self.side), mode="bilinear")
            height, width = embedding.input_size
            logits = logits[..., :height, :width]
            if embedding.frame_size != embedding.input_size:
                logits = functional.interpolate(logits, embedding.frame_size, mode="bilinear")
            return logits[:, 0]

    def _share(self, embedding: SamEmbedding) -> Shared:
        """What the passes on a frame share; kept for the newest frame only: as large as the embedding itself."""
        newest = self._shared
        if newest is None or newest[0] is not embedding.features:
            newest = self._shared = (embedding.features, self.share(embedding))
        return newest[1]

    def share(self, embedding: SamEmbedding) -> Shared:
        """The same, for whoever keeps it himself."""
        features, fine = embedding.features
        with reporting_memory("decoding masks"), torch.inference_mode():
            return self.decoder.share(features.float(), fine)

    def _upload(self, prompts: SamPrompts) -> DevicePrompts:
        return DevicePrompts(
            self._tensor(prompts.xy),
            self._tensor(prompts.labels),
            self._tensor(prompts.boxes),
            prompts.low_res,
            self._tensor(prompts.has_low_res),
            prompts.multimask,
            padded=bool((prompts.labels == PADDING).any() or not prompts.has_box.all()),
        )

    def _pass_together(self, frames: Sequence[PromptedFrame]) -> tuple[Tensor, Tensor]:
        """The logits and predicted IoUs of the objects of these frames, one after the other."""
        counts = [len(frame.prompts.labels) for frame in frames]
        shared = frames[0].shared if len(frames) == 1 else stack([frame.shared for frame in frames], counts)
        of_frames = [(frame.embedding, count) for frame, count in zip(frames, counts, strict=True)]
        return self._pass(shared, of_frames, self._upload(join([frame.prompts for frame in frames])))

    def _pass(
        self, shared: Shared, frames: Sequence[tuple[SamEmbedding, int]], prompts: DevicePrompts
    ) -> tuple[Tensor, Tensor]:
        """`frames`: those that the objects are on, and how many are on each."""
        xy = self._shares_of_side(prompts.xy, frames)
        boxes = self._shares_of_side(prompts.boxes.view(-1, 2, 2), frames).flatten(1)
        tokens = self.decoder.embed(xy, prompts.labels, boxes, padded=prompts.padded)
        low_res = None if prompts.low_res is None else self._native(prompts.low_res)
        logits, iou = self.decoder(shared, tokens, low_res, prompts.has_low_res, prompts.multimask)
        # A smaller input has smaller logits: repeated they fit the protocol, and _native() gets the very same back.
        return functional.interpolate(logits[:, None], (LOW_RES, LOW_RES), mode="nearest-exact")[:, 0], iou

    def _native(self, low_res: Tensor) -> Tensor:
        """(B, 4 grid, 4 grid): the logits as the network made them."""
        size = 4 * self.grid
        return (
            low_res
            if size == LOW_RES
            else functional.interpolate(low_res[:, None], (size, size), mode="nearest-exact")[:, 0]
        )

    def _shares_of_side(self, xy: Tensor, frames: Sequence[tuple[SamEmbedding, int]]) -> Tensor:
        """(B, N, 2) float32 of points (B, N, 2) in px of the frames that the objects are on."""
        if len(frames) == 1:
            return self._shares(xy, frames[0][0])
        parts = zip(torch.split(xy, [count for _, count in frames]), frames, strict=True)
        return torch.cat([self._shares(part, embedding) for part, (embedding, _) in parts])

    def _shares(self, xy: Tensor, embedding: SamEmbedding) -> Tensor:
        """(..., 2) float32: frame px -> input px (corners on corners, as SAM does) -> shares of its side."""
        (height, width), (h, w) = embedding.frame_size, embedding.input_size
        x, y = xy.double().unbind(-1)
        return torch.stack([(x * (w / width) + 0.5) / self.side, (y * (h / height) + 0.5) / self.side], dim=-1).float()

    def _tensor(self, values: Array) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(values))
        return tensor.to(self.device, torch.float32 if tensor.is_floating_point() else tensor.dtype)


@dataclass(frozen=True)
class PromptedFrame:
    """Prompts on a frame, with what all passes on it share."""

    embedding: SamEmbedding
    shared: Shared
    prompts: SamPrompts


def _answer(parts: Sequence[tuple[Tensor, Tensor]]) -> SamAnswer:
    low_res, iou = (torch.cat(part) for part in zip(*parts, strict=True))
    finite = low_res.isfinite().all() & iou.isfinite().all()
    *values, all_finite = torch.cat([iou, finite[None]]).cpu().numpy()  # read back together
    check_numbers(bool(all_finite))
    return SamAnswer(low_res, np.array(values, np.float32))


def fitted(frame_size: tuple[int, ...], side: int) -> tuple[int, int]:
    """(h, w) of a frame (H, W) whose longest side is made `side`."""
    scale = side / max(frame_size[:2])
    return max(1, int(frame_size[0] * scale + 0.5)), max(1, int(frame_size[1] * scale + 0.5))
