"""Decoder: tracked points in, masks out, and seeds back to the tracker. The idea is in `segmentation.py`."""

from __future__ import annotations

from nodes.decoder.backends import make_client, make_model, make_object_search
from nodes.decoder.live_segmentation import LiveSegmenter, Timed
from nodes.decoder.mask_model import CarryingModel, MaskModel, SparingModel
from nodes.decoder.model_sharing import ModelSharing, sharing_counters, sharing_gauges
from nodes.decoder.object_discovery import ObjectDiscovery
from nodes.decoder.past_prompts.catching_up import CatchingUp
from nodes.decoder.past_prompts.prompts_on_frames import PromptsOnFrames, PromptTask
from nodes.decoder.scheduling.budget import Budget
from nodes.decoder.scheduling.turns import Turns
from nodes.decoder.segmentation import Segmenter
from nodes.decoder.truth import TruthScore
from nodes.decoder.turn_taking import TurnTaking
from stream.messages import DiscoverObjects, Masks, Message, PromptOnFrame, ReinitRequest, Scene, Seeds, Tracks
from stream.node import NodeContext, Stage
from stream.reports import Progress
from stream.scheduling.camera_client import CameraClient
from stream.scheduling.worker import SlicedTask, ThreadWorker
from stream.settings.config import Config
from stream.settings.options import BudgetOptions, TurnOptions, resolve


def make_stage(config: Config, node: NodeContext) -> Stage:
    """The decoder of a camera, with its model loaded; or what replays recorded masks."""
    if config.recording.replay_masks:
        from nodes.decoder.replay import ReplayStage  # what is off is not loaded

        return ReplayStage(config.recording.replay_masks, node)
    client = make_client(config.decoder, config.capture.camera, node.models)
    return DecoderStage(config, node, make_model(config.decoder, node.models, client), client)


class DecoderStage(Stage):
    """Carries messages between the node and the segmenter."""

    def __init__(self, config: Config, node: NodeContext, model: MaskModel, client: CameraClient | None = None) -> None:
        options = resolve(config)
        self.node = node
        self.client = client  # of a model that other cameras use, too
        self.frame_id = -1  # of the newest masks
        self.truth = TruthScore()
        self.segmenter = Segmenter(model, options.segmenter)
        self.turn_taking = None if options.turns is None else self._in_turns(model, options.turns)
        self.live = None if options.budget is None else self._beside_the_feed(model, options.budget)
        carrying = self.live or self.turn_taking
        self.past_prompts = PromptsOnFrames(
            self.segmenter, node.send, node.report, None if carrying is None else carrying.keep
        )
        self.catching_up = CatchingUp(ThreadWorker(node.wake, "decoder-model"))
        self.auto = config.decoder.auto > 0  # objects have other ids than a scene's truth
        self.discovery: ObjectDiscovery | None = None
        if options.discovery is not None:
            begin = make_object_search(config.decoder, model, self.segmenter.embedding)
            self.discovery = ObjectDiscovery(begin, node.report, options.discovery)

    def step(self, message: Message) -> bool:
        """Answer a message; False where there are no masks for it."""
        match message:
            case ReinitRequest():  # its frame comes once more, with the points drawn from these Seeds
                self.node.send(self.segmenter.reinit(message))
                return False
            case PromptOnFrame():
                self._prompt(self.past_prompts.task(message))
                return False
            case DiscoverObjects():
                self._run(self.discovery.requested(message) if self.discovery is not None else None)
                return False
            case Tracks() if self.live is not None:
                for answer in self.live.step(message):
                    self._send(message, answer)
                return True
            case Tracks() if self.turn_taking is not None:
                answered = False
                for answer in self.turn_taking.step(message):
                    self._send(message, answer)
                    answered = answered or isinstance(answer, Masks)
                self.catching_up.saw(message.frame, {o.object_id for o in message.objects})
                return answered
            case Tracks():
                masks, seeds = self.segmenter.step(message)
                if seeds is not None:
                    self._send(message, seeds)  # first: a lossless tracker waits for them
                if masks is not None:
                    self._send(message, masks)
                return masks is not None
        return False

    def on_idle(self) -> None:
        """Send the seeds of what the model has finished beside the feed."""
        self.catching_up.collect()
        if self.live is not None:
            for seeds in self.live.collect():
                self.node.send(seeds)

    def progress(self) -> Progress:
        """Frames with an answer and without; with a live budget, what they cost."""
        counters: dict[str, float] = {
            "decoded": self.segmenter.decoded,
            "failed": self.segmenter.failed,
            "propagated": 0 if self.live is None else self.live.propagated,
        }
        gauges: dict[str, float] = {"truth_iou": self.truth.mean_iou or 0.0, "truth_count": self.truth.count}
        if self.live is not None:
            gauges["frame_ms"] = self.live.budget.frame_ms
            gauges["encode_ms"] = self.live.budget.encode_ms or 0.0
            gauges["refinement_passes"] = self.live.refinement_passes
        if self.client is not None:
            counters |= sharing_counters(self.client)
            gauges |= sharing_gauges(self.client)
        if self.turn_taking is not None:
            gauges["frame_ms"] = self.turn_taking.turns.frame_ms
            gauges["objects_in_turn"] = self.turn_taking.in_turn
            gauges["detail"] = self.turn_taking.detail.share
        return Progress(frame_id=self.frame_id, counters=counters, gauges=gauges)

    def _beside_the_feed(self, model: MaskModel, options: BudgetOptions) -> LiveSegmenter:
        assert isinstance(model, SparingModel), "only such a model has a budget"
        budget = Budget(budget_ms=options.budget_ms, refinement_passes=options.refinement_passes)
        worker: ThreadWorker[Timed | bool] = ThreadWorker(self.node.wake, "decoder-model")
        sharing = None if self.client is None else ModelSharing(self.client, budget.max_age_ms / 1e3)
        return LiveSegmenter(self.segmenter, model, budget, worker, sharing=sharing)

    def _in_turns(self, model: MaskModel, options: TurnOptions) -> TurnTaking:
        assert isinstance(model, CarryingModel), "only such a model can leave objects out"
        return TurnTaking(self.segmenter, model, Turns(options.budget_ms))

    def _send(self, tracks: Tracks, message: Masks | Seeds) -> None:
        self.node.send(message)
        if not isinstance(message, Masks):
            return
        self.node.send(Scene(frame=tracks.frame, masks=message))
        self.past_prompts.record(message)
        self.frame_id = tracks.frame.stamp.frame_id
        if self.discovery is not None:
            self._run(self.discovery.consider(tracks, message))
        if tracks.frame.truth is not None and not self.auto:
            self.truth.step(tracks.frame.truth, message)

    def _prompt(self, task: PromptTask) -> None:
        """Carry out a prompt on a past frame: beside a live feed, else at once."""
        if task.request.prompt.kind == "add":
            self.segmenter.expect(task.request.prompt.object_id)
        if self.turn_taking is not None:
            self.catching_up.run(task)
        else:
            self._run(task)

    def _run(self, task: SlicedTask | None) -> None:
        """Do a task where no frame waits for the model: between frames on a live feed, else at once."""
        if task is None:
            return
        if self.live is not None:
            self.live.run(task)
            return
        while not task.step():
            self.node.still_working()
        task.finish()
