"""Frames and prompts in, logits out: SAM, HQ-SAM and MobileSAM behind the protocol of protocol.py (paper, 3.1).

A frame is encoded once and its embedding stays on the device. Prompts come in frame px and are scaled here, points and
boxes alike, so that frames may have any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nodes.decoder.sam.image_encoder import VitEncoder
from nodes.decoder.sam.mask_decoder import PromptDecoder, Shared, stack
from nodes.decoder.sam.model_registry import TRAINED_SIDE, load_network
from nodes.decoder.sam.object_threads import TorchObjectThreads
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
from stream.weights.compiling import Wish, compile_parts, is_wished
from stream.weights.cuda_graphs import recordings_for
from stream.weights.devices import choose_device, choose_precision, reporting_memory, upload

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
    compile: Wish = False,
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
        compile: Wish = False,
    ) -> None:
        self.device, self.side, self.dtype = device, side, dtype
        self.is_asynchronous = device.type != "cpu"
        self.grid = side // PATCH  # patches a side; the network's own logits have four times as many px
        encoder, decoder = self._parts(network)
        self.decoder = decoder.to(device)
        if device.type != "cpu":
            self.decoder.compute_in(dtype)
        self.encoder: Any = encoder.to(device, dtype)
        self._encodes = recordings_for(device, "encoder")
        self.recordings = recordings_for(device, "passes")
        self.mean, self.std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (MEAN, STD))
        # A GPU is only full with all objects at once. On a CPU each has a thread of its own, and its tensors stay in
        # the cache: a tenth to a quarter less work an object than with five at once.
        self.at_once = 1 if device.type == "cpu" else 64
        self.threads = TorchObjectThreads()
        self._shared: tuple[Any, Shared] | None = None  # of the newest embedding with prompts
        if is_wished(compile, device, dtype):
            self._compile(compile)

    def _parts(self, network: Any) -> tuple[nn.Module, PromptDecoder]:
        """The image encoder and the prompt decoder, with the network's weights."""
        kind = VitEncoder if hasattr(network.image_encoder, "pos_embed") else TinyEncoder
        return kind(network.image_encoder, self.side), PromptDecoder(network, self.grid)

    def _compile(self, wish: Wish) -> None:
        """Compile encoder and passes. Blocks of a ViT are alike, so that two are compiled instead of up to 32."""
        encoder = self.encoder
        parts = list(encoder.blocks) if isinstance(encoder, VitEncoder) else [encoder]
        black = torch.zeros(1, 3, self.side, self.side, device=self.device, dtype=self.dtype)
        compile_parts("decoder.compile", wish, parts, lambda: encoder(black))
        if self.recordings is not None:
            embedding = self.encode(np.zeros((self.side, self.side, 3), np.uint8))

            def pass_twice() -> None:
                for objects in (2, 3):  # the second time for any number of them, and of points
                    low_res = torch.zeros(objects, LOW_RES, LOW_RES, device=self.device)
                    at = torch.zeros(objects, 16 * objects, 2, device=self.device)
                    no = torch.zeros(objects, dtype=torch.bool, device=self.device)
                    prompts = DevicePrompts(at, at[..., 0].long(), low_res[:, 0, :4], low_res, no)
                    self.predict_unread(self.shared_tensors(embedding), embedding, prompts)

            compile_parts("decoder.compile", wish, [self.decoder], pass_twice)

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
                levels = self._encode(part)
                embeddings += [
                    self._hold(tuple(level[i : i + 1] for level in levels), rgb.shape[:2]) for i, rgb in enumerate(part)
                ]
        return embeddings

    def _encode(self, frames: Sequence[Array]) -> tuple[Tensor, ...]:
        """What the encoder gives for frames; from a GPU it is not read back, and so not checked."""
        if self._encodes is None:
            levels: tuple[Tensor, ...] = self.encoder(torch.stack([self.prepare(rgb) for rgb in frames]).to(self.dtype))
            check_numbers(bool(torch.stack([level.isfinite().all() for level in levels]).all()))
            return levels

        def encode(*images: Tensor) -> tuple[Tensor, ...]:
            return tuple(self.encoder(torch.stack([self.fit(image) for image in images]).to(self.dtype)))

        return self._encodes.run("encode", encode, [upload(rgb, self.device) for rgb in frames])

    def hold(self, features: Tensor, frame_size: tuple[int, ...], early: Tensor | None = None) -> SamEmbedding:
        """The embedding of a frame (H, W) of its features (1, 256, grid, grid); HQ-SAM needs the early ones as well."""
        check_numbers(bool(features.isfinite().all()))
        levels = [features] if early is None else [features, early]
        return self._hold([level.to(self.device) for level in levels], frame_size)

    def _hold(self, levels: Sequence[Tensor], frame_size: tuple[int, ...]) -> SamEmbedding:
        """The embedding of what the encoder gives for one frame."""
        height, width = frame_size
        with reporting_memory("encoding a frame"), torch.inference_mode():
            fine = None
            if self.decoder.hq is not None:
                features, early = (level.to(self.decoder.dtype) for level in levels)
                fine = self.decoder.hq.fuse(features, early)
            return SamEmbedding((height, width), fitted((height, width), self.side), self.side, (levels[0], fine))

    def prepare(self, rgb: Array) -> Tensor:
        """(3, side, side) float32: the frame, its longest side fitted, normalised, padded at the right and below."""
        height, width = fitted(rgb.shape[:2], self.side)
        if rgb.shape[:2] != (height, width) and self.device.type == "cpu":
            from PIL import Image  # the very resizing that SAM was trained and is published with

            rgb = np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BILINEAR))
        return self.fit(upload(rgb, self.device))

    def fit(self, image: Tensor) -> Tensor:
        """The same of a frame (H, W, 3) uint8 on the device; resized, at most one of 255 levels beside Pillow's."""
        height, width = fitted(tuple(image.shape[:2]), self.side)
        image = image.permute(2, 0, 1).float()
        if image.shape[1:] != (height, width):
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

    def shared_tensors(self, embedding: SamEmbedding) -> tuple[Tensor, ...]:
        """What all passes on a frame read of it, on the device."""
        shared = self._share(embedding)
        values = (getattr(shared, field.name) for field in fields(shared))
        return tuple(value for value in values if value is not None)

    def predict_unread(
        self, shared: Sequence[Tensor], embedding: SamEmbedding, prompts: DevicePrompts
    ) -> tuple[Tensor, Tensor]:
        """As `predict`, with nothing read back: logits (B, 256, 256) and predicted IoU (B,), not checked.

        `shared`: of `shared_tensors`; of the embedding, only the sizes are read.
        """
        with reporting_memory("decoding masks"), torch.inference_mode():
            return self._pass(self.decoder.shared_of(shared), [(embedding, len(prompts.xy))], prompts)

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
            return self.decoder.share(features.to(self.decoder.dtype), fine)

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
