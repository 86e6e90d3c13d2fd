"""A network of the SAM family that decoders of several cameras share: as if each camera had its own.

Encodes and passes are requests to the network's thread, where those of several cameras go together if that pays. On a
GPU all passes of a frame are one request: what is read back after each of them would cost more than it gains.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import torch

from nodes.decoder.sam.device_passes import DecodedCrop, decode_on_device
from nodes.decoder.sam.mask_decoder import Shared
from nodes.decoder.sam.network import PromptedFrame, Sam
from nodes.decoder.sam.prompting import ObjectPrompt, PassRules
from nodes.decoder.sam.protocol import SamAnswer, SamEmbedding, SamPrompts
from stream.arrays import Array
from stream.scheduling.camera_client import CameraClient

OPENING_PASSES = 2  # before the refinements
MOST_FRAMES = 16  # encoded at once: attention of vit_h takes 1 GiB a frame


class SharedSam:
    """A `SamNetwork` of one camera."""

    def __init__(self, network: Sam, key: Hashable, client: CameraClient) -> None:
        """`key`: what tells this network from others: model, weights, side, precision."""
        self.device, self.side = network.device, network.side
        self.is_asynchronous = network.is_asynchronous
        self._network = network
        self._client = client
        self._encode, self._pass, self._frame = (key, "encode"), (key, "pass"), (key, "frame")
        self._shared: tuple[object, Shared] | None = None  # of the newest embedding with prompts
        client.model.serve(self._encode, self._encode_together, MOST_FRAMES)
        for multimask in (False, True):
            client.model.serve((self._pass, multimask), network.predict_together)
        client.model.serve(self._frame, self._decode_each)

    def encode(self, rgb: Array) -> SamEmbedding:
        """The embedding of a frame; DeclinedError where its time is over."""
        embedding: SamEmbedding = self._client.ask(self._encode, rgb)
        return embedding

    def _encode_together(self, frames: Sequence[Array]) -> list[SamEmbedding]:
        found = self._network.encode_together(frames)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # what it costs is measured, and what it queues is bounded
        return found

    def predict(self, embedding: SamEmbedding, prompts: SamPrompts) -> SamAnswer:
        """All prompts in one pass of the mask decoder; each has the masks that it would have alone."""
        frame = PromptedFrame(embedding, self._share(embedding), prompts)
        answer: SamAnswer = self._client.ask((self._pass, prompts.multimask), frame, units=len(prompts.labels))
        return answer

    def decode_frame(
        self, embedding: SamEmbedding, objects: Sequence[ObjectPrompt], rules: PassRules, rng: np.random.Generator
    ) -> list[DecodedCrop]:
        """All passes of a frame, on the network's thread: as `decode_on_device`."""
        units = max(1, len(objects)) * (OPENING_PASSES + rules.refinement_passes)
        decoded: list[DecodedCrop] = self._client.ask(self._frame, (embedding, objects, rules, rng), units=units)
        return decoded

    def _decode_each(self, frames: Sequence[tuple[Any, ...]]) -> list[list[DecodedCrop]]:
        return [decode_on_device(self._network, *frame) for frame in frames]

    def upscale(self, low_res: torch.Tensor, embedding: SamEmbedding) -> torch.Tensor:
        """Logits (B, H, W) float32 at frame size of logits (B, 256, 256), bilinear, the padding cut off."""
        return self._network.upscale(low_res, embedding)

    def _share(self, embedding: SamEmbedding) -> Shared:
        newest = self._shared
        if newest is None or newest[0] is not embedding.features:
            newest = self._shared = (embedding.features, self._network.share(embedding))
        return newest[1]
