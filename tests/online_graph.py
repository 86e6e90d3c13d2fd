"""A tracker stage and a decoder stage side by side, as they run on a live feed, without sockets and clocks."""

from __future__ import annotations

from typing import Any

from running import until

from nodes.decoder.node import DecoderStage
from nodes.decoder.node import make_stage as make_decoder
from nodes.tracker.node import make_stage as make_tracker
from stream.arrays import Array
from stream.commands import Command, GivePrompt, Start, StartTracker
from stream.crops import uncrop_mask
from stream.in_memory import InMemoryNode
from stream.messages import Frame, FrameRef, Masks, Message, Prompt, Seeds, Stamp
from stream.reports import Answer
from stream.scheduling.shared_models import SharedModels
from stream.settings.config import Config
from stream.settings.presets import load

PERIOD_S = 0.04


def live_config(preset: str = "lite", **keys: Any) -> Config:
    """A preset on a live feed; `tracker__emit` stands for `tracker.emit`."""
    return load(
        preset,
        {"capture.source": "demo", "capture.realtime": True, **{k.replace("__", "."): v for k, v in keys.items()}},
    )


class OnlineGraph:
    """Everything that one stage sends is with the other before the next frame comes."""

    def __init__(self, config: Config | None = None, model: Any = None, models: SharedModels | None = None) -> None:
        config = config or live_config()
        self.tracker_node, self.decoder_node = InMemoryNode(models=models), InMemoryNode(models=models)
        self.tracker = make_tracker(config, self.tracker_node)
        self.decoder = (
            make_decoder(config, self.decoder_node) if model is None else DecoderStage(config, self.decoder_node, model)
        )
        self.tracker_node.start(self.tracker, StartTracker())
        self.decoder_node.start(self.decoder, Start())
        self.frames = 0
        self.masks: dict[int, Masks] = {}  # by frame_id
        self.seeds: list[Seeds] = []

    def show(self, *pictures: Array) -> None:
        """The next frames come."""
        for rgb in pictures:
            self.tracker_node.time_s = self.frames * PERIOD_S
            at_ns = round(self.frames * PERIOD_S * 1e9)
            stamp = Stamp(camera="c", session=0, frame_id=self.frames, captured_ns=at_ns, captured_unix_ns=at_ns)
            self.tracker_node.give(self.tracker, Frame(stamp=stamp, rgb=rgb))
            self.frames += 1
            self.exchange()

    def command(self, command: Command) -> list[Answer]:
        """A command for the tracker comes; what both nodes answer to it."""
        self.tracker.handle_command(command)
        self.exchange()
        return [*self.tracker_node.take(Answer), *self.decoder_node.take(Answer)]

    def prompt(self, prompt: Prompt, frame_id: int) -> None:
        """A prompt on a frame comes; it has to be accepted."""
        named = Prompt(
            object_id=prompt.object_id,
            kind=prompt.kind,
            xy=prompt.xy,
            labels=prompt.labels,
            box=prompt.box,
            mask=prompt.mask,
            frame=FrameRef(session=0, frame_id=frame_id),
        )
        [answer] = self.command(GivePrompt(prompt=named, request=1))
        assert not answer.error, answer.error

    def exchange(self) -> None:
        """Carry messages until both stages are at rest."""
        self.decoder.on_idle()
        while sent := [*self.tracker_node.take(Message), *self.decoder_node.sent]:
            self.decoder_node.sent.clear()
            for message in sent:
                if isinstance(message, Answer):
                    self.tracker_node.reports.append(message)
                elif isinstance(message, Seeds):
                    self.seeds.append(message)
                    self.tracker_node.give(self.tracker, message)
                    until(self._drawn, "the points of these seeds")
                elif isinstance(message, Masks):
                    self.masks[message.stamp.frame_id] = message
                else:
                    self.decoder_node.give(self.decoder, message)
            until(self._caught_up, "the object on the newest frame")
            if not (self.tracker_node.sent or self.decoder_node.sent):
                break

    def _caught_up(self) -> bool:
        """Hand over what the decoder follows beside the feed, if it is ready."""
        self.decoder.on_idle()
        return not self.decoder.catching_up.busy

    def _drawn(self) -> bool:
        """Let the tracker have the points that are drawn beside the feed, if they are."""
        self.tracker.on_idle()
        return self.tracker.background is None or not self.tracker.background.busy

    def seed_mask(self, object_id: int, frame_id: int) -> Array:
        """(H, W) bool: the newest mask that the decoder made of an object on a frame for the tracker."""
        for seeds in reversed(self.seeds):
            for seed in seeds.objects:
                if (seed.object_id, seed.frame_id) == (object_id, frame_id):
                    mask: Array = uncrop_mask(seed.bbox, seed.mask, seeds.size) != 0
                    return mask
        raise AssertionError(f"no mask of object {object_id} on frame {frame_id}")

    def mask(self, object_id: int, frame_id: int = -1) -> Array:
        """(H, W) bool: the mask of an object as published for a frame; -1: the newest."""
        masks = self.masks[max(self.masks) if frame_id < 0 else frame_id]
        found: Array = masks.label_image() == object_id
        return found
