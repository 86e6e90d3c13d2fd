"""Decoder: tracked points in, masks out, and seeds back to the tracker. The idea is in `segmentation.py`."""

from __future__ import annotations

from nodes.decoder.backends import make_model, make_survey
from nodes.decoder.budget import Budget
from nodes.decoder.live_segmentation import LiveSegmenter, SparingModel, Timed
from nodes.decoder.object_discovery import ObjectDiscovery
from nodes.decoder.segmentation import Segmenter
from nodes.decoder.states import Limits, sam_limits
from nodes.decoder.truth import TruthScore
from nodes.decoder.worker import ThreadWorker
from stream.messages import Masks, Scene, Seeds, Tracks
from stream.reports import Found, Proposal
from stream.runtime import Runtime


def main(node: Runtime) -> None:
    """Run the decoder until its stop signal."""
    shell = Shell(node)
    node.serve({"commands": lambda command: None, "tracks": shell.step}, feed="tracks", turn=shell.turn)


class Shell:
    """Carries messages between the sockets and the segmenter."""

    def __init__(self, node: Runtime) -> None:
        own = node.config.decoder
        self.node = node
        self.truth = TruthScore()
        model = make_model(own)
        self.segmenter = Segmenter(
            model,
            min_area_px=own.min_area_px,
            max_growth=own.max_growth,
            lost_after_frames=own.lost_after_frames,
            reinit_variant=node.config.tracker.reinit_variant,
            horizon=node.config.tracker.horizon,
            limits=Limits() if own.backend == "lite" else sam_limits(own.iou_threshold),
            ask_points=own.backend != "lite",
            check_masks=node.config.live or own.backend == "lite" if own.check_masks == "auto" else own.check_masks,
            own_seeds=own.backend != "lite",
            every_frame=own.backend == "lite",
        )
        self.live: LiveSegmenter | None = None
        if node.config.live and own.backend != "lite" and own.budget_ms != "off":
            budget = Budget(
                period_ms=0.0,  # measured as frames come
                budget_ms=None if own.budget_ms == "auto" else own.budget_ms,
                passes=own.refinement_passes,
            )
            worker: ThreadWorker[Timed | bool] = ThreadWorker(node.wake)
            sparing: SparingModel = model  # type: ignore[assignment]  # every backend but lite is one
            self.live = LiveSegmenter(self.segmenter, sparing, budget, worker)
        self.discovery: ObjectDiscovery | None = None
        if own.auto:
            begin = make_survey(own, model, self.segmenter.embedding)
            self.discovery = ObjectDiscovery(begin, self._found, own.auto, own.auto_again, node.config.tracker.horizon)
        node.heartbeat.numbers = self.numbers

    def turn(self) -> None:
        """Once a round: what the model has finished beside the feed."""
        if self.live is not None:
            for seeds in self.live.collect():
                self.node.send(seeds)

    def step(self, tracks: Tracks) -> bool:
        """Answer a frame; False where the model has no answer for it."""
        if tracks.survey and not self.node.config.live:
            self._look(tracks, None)
            return False  # the tracker waits for what was found, and sends the frame once more
        if self.live is not None:
            for message in self.live.step(tracks):
                self._send(tracks, message)
                if isinstance(message, Masks):
                    self._look(tracks, message)
            return True
        masks, seeds = self.segmenter.step(tracks)
        if seeds is not None:
            self.node.send(seeds)  # first: a lossless tracker waits for it
        if masks is None:  # no answer, or a draft: its frame comes once more
            return False
        self._send(tracks, masks)
        self._look(tracks, masks)
        return True

    def _look(self, tracks: Tracks, masks: Masks | None) -> None:
        """Look for objects that nobody asked for, where it is time to."""
        task = self.discovery.look(tracks, masks) if self.discovery is not None else None
        if task is None:
            return
        if self.live is not None:
            self.live.run(task)
            return
        while not task.step():
            self.node.heartbeat.goes_on()
        task.finish()

    def _found(self, tracks: Tracks, objects: tuple[Proposal, ...]) -> None:
        frame = tracks.frame
        self.node.report(Found, frame_id=frame.stamp.frame_id, survey=tracks.survey, size=frame.size, objects=objects)

    def _send(self, tracks: Tracks, message: Masks | Seeds) -> None:
        self.node.send(message)
        if isinstance(message, Masks):
            self.node.send(Scene(frame=tracks.frame, masks=message))
            self.node.heartbeat.frame_id = tracks.frame.stamp.frame_id
            if tracks.frame.truth is not None and self.discovery is None:  # whose ids are not the scene's
                self.truth.step(tracks.frame.truth, message)

    def numbers(self) -> dict[str, float]:
        """What goes along with the health beat."""
        segmenter, live = self.segmenter, self.live
        numbers = {
            "truth_iou": self.truth.mean_iou or 0.0,
            "truth_count": self.truth.count,
            "decoded": segmenter.decoded,
            "failed": segmenter.failed,
        }
        if live is not None:
            numbers["propagated"] = live.propagated
            numbers["frame_ms"] = live.budget.frame_ms
            numbers["encode_ms"] = live.budget.encode_ms or 0.0
            numbers["refinement_passes"] = live.model.refinement_passes
        return numbers
