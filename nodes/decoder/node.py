"""Decoder: tracked points in, masks out, and seeds back to the tracker. The idea is in `segmentation.py`."""

from __future__ import annotations

from nodes.decoder.backends import make_model
from nodes.decoder.segmentation import Segmenter
from nodes.decoder.truth import TruthScore
from stream.messages import Scene, Tracks
from stream.runtime import Runtime


def main(node: Runtime) -> None:
    """Run the decoder until its stop signal."""
    own = node.config.decoder
    segmenter = Segmenter(
        make_model(own),
        min_area_px=own.min_area_px,
        max_growth=own.max_growth,
        lost_after_frames=own.lost_after_frames,
    )
    truth = TruthScore()

    def step(tracks: Tracks) -> None:
        masks, seeds = segmenter.step(tracks)
        if seeds is not None:
            node.send(seeds)  # first: a lossless tracker waits for it
        node.send(masks)
        node.send(Scene(frame=tracks.frame, masks=masks))
        node.beat.frame_id = tracks.frame.stamp.frame_id
        if tracks.frame.truth is not None:
            truth.step(tracks.frame.truth, masks)

    def numbers() -> dict[str, float]:
        return {"truth_iou": truth.mean_iou or 0.0, "truth_count": truth.count}

    node.beat.numbers = numbers
    node.serve({"commands": lambda command: None, "tracks": step}, feed="tracks")
