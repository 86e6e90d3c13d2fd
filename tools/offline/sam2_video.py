#!/usr/bin/env python3
"""Follow the objects of finished clips by the memory of SAM 2.1 or EdgeTAM, for comparison: J, F and J&F out.

python tools/offline/sam2_video.py --root DAVIS --backend sam2 --model tiny      weights where fetch_weights puts them
python tools/offline/sam2_video.py --root DAVIS --backend edgetam --checkpoint edgetam.pt --json edgetam.json
python tools/offline/sam2_video.py --root DAVIS --backend edgetam --seed 0       weights by rule: the masks mean nothing
python tools/evaluate.py vos --root DAVIS --config sam2_pt                       the same clips, by points and SAM 2.1

The video predictor is the package's own, prompted on the frame where an object begins, as evaluate.py prompts it; the
evaluator is the same, too. DIR is laid out as DAVIS, MOSE or YouTube-VOS (tools/evaluation/layout.py).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # tools run from any folder

from nodes.capture.folder import read_picture
from nodes.decoder.sam2.checkpoint import load_video_network
from nodes.decoder.sam2.model_registry import HIERA, build_video_network, import_module, published_name
from nodes.renderer.sinks import label_png
from stream.arrays import Array
from stream.errors import ConfigError
from stream.geometry import resize_mask
from stream.messages import Prompt
from stream.weights import published
from stream.weights.devices import choose_device
from tools.evaluate import show
from tools.evaluation.first_prompts import KINDS, make_prompt
from tools.evaluation.layout import VideoSequence, ids_of, sequences_of
from tools.evaluation.scoring import Score, table
from tools.goldens.sam2_weights import sam2_weights
from tools.report_command import Report, run_report

SIDES = (256, 512, 768, 1024)  # px; EdgeTAM's memory is 16 x 16 windows of the image


class VideoPredictor:
    """The package's video predictor on one clip, frame by frame."""

    def __init__(self, network: Any, backend: str, device: torch.device) -> None:
        side = network.config.image_size
        images = import_module("models.sam2.image_processing_sam2").Sam2ImageProcessor(
            size={"height": side, "width": side}
        )
        videos = import_module("models.sam2_video.video_processing_sam2_video").Sam2VideoVideoProcessor()
        processing = import_module("models.sam2_video.processing_sam2_video")
        self.processor = processing.Sam2VideoProcessor(images, videos, target_size=side)
        modeling = import_module(f"models.{backend}_video.modeling_{backend}_video")
        prefix = "EdgeTam" if backend == "edgetam" else "Sam2"
        self.session = getattr(modeling, f"{prefix}VideoInferenceSession")(
            inference_device=device,
            inference_state_device=device,
            video_storage_device="cpu",
            dtype=torch.float32,
        )
        self.network = network
        self.device = device

    def step(self, index: int, rgb: Array, prompts: Mapping[int, Prompt]) -> Array:
        """The label image (H, W) of a frame (H, W, 3); `prompts` are those of objects that begin on it."""
        size = rgb.shape[:2]
        self.session.video_height, self.session.video_width = size
        for object_id, prompt in prompts.items():
            self._add(index, object_id, prompt, size)
        if not self.session.get_obj_num():
            return np.zeros(size, np.uint8)
        # several prompts on a frame are all new, whichever was the last one to say so
        self.session.obj_with_new_inputs = list(prompts)
        pixels = self.processor.image_processor(rgb, return_tensors="pt").pixel_values[0].to(self.device)
        answer = self.network(self.session, frame_idx=index, frame=pixels)
        logits = self.processor.post_process_masks([answer.pred_masks], [list(size)], binarize=False)[0][:, 0]
        best, owner = logits.max(dim=0)
        ids = torch.tensor(answer.object_ids, device=owner.device)
        labels = torch.where(best > 0, ids[owner], 0).cpu().numpy()
        return np.asarray(labels.astype(np.uint8 if labels.max(initial=0) < 256 else np.uint16))

    def _add(self, index: int, object_id: int, prompt: Prompt, size: tuple[int, ...]) -> None:
        if prompt.mask is not None:
            self.processor.process_new_mask_for_video_frame(self.session, index, [object_id], prompt.mask != 0)
            return
        words: dict[str, Any] = {}
        if prompt.xy is not None and prompt.labels is not None:
            words["input_points"] = [[[[float(v) for v in point] for point in prompt.xy]]]
            words["input_labels"] = [[[int(label) for label in prompt.labels]]]
        if prompt.box is not None:
            words["input_boxes"] = [[[float(v) for v in prompt.box]]]
        self.processor.process_new_points_or_boxes_for_video_frame(
            self.session, index, [object_id], original_size=(size[0], size[1]), **words
        )


def follow(sequence: VideoSequence, predictor: VideoPredictor, options: argparse.Namespace) -> tuple[Score, float]:
    """The score of one sequence, and the seconds that the predictor took."""
    score, spent_s = Score(sequence), 0.0
    for index, path in enumerate(sequence.frames):
        rgb = read_picture(path).rgb
        truth, void = sequence.labels(index) if index in sequence.annotations else (None, None)
        new = [] if truth is None else [i for i in ids_of(truth) if i not in score.objects]
        prompts = {}
        for i in new:
            assert truth is not None
            mask = resize_mask((truth == i).astype(np.uint8), rgb.shape[:2])
            prompts[i] = make_prompt(options.prompt, i, mask, rgb)
        began = time.perf_counter()
        labels = predictor.step(index, rgb, prompts)
        spent_s += time.perf_counter() - began
        if truth is not None:
            labels = resize_mask(labels, truth.shape)
            if sequence.has_truth:
                score.step(index, truth, void, labels)
        for i in new:
            score.begin(i)
        if options.save is not None:
            folder = options.save / sequence.name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{sequence.stems[index]}.png").write_bytes(label_png(labels))
    return score, spent_s


def load(options: argparse.Namespace) -> Any:
    """The video network: with the weights of a file, or by rule where a seed is given."""
    if options.seed is None:
        file = published.find(published_name(options.backend, options.model), options.checkpoint)
        return load_video_network(options.backend, options.model, file, options.side)
    network = build_video_network(options.backend, options.model, options.side)
    network.load_state_dict(sam2_weights(options.seed, options.backend, options.model, video=True))
    return network


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """What --json writes."""
    device = choose_device("--device", options.device)
    sequences = sequences_of(options)
    network = load(options).to(device)
    scores, spent_s = [], 0.0
    for sequence in sequences:
        print(f"sam2_video: {sequence.name}, {len(sequence.frames)} frames", file=sys.stderr)
        score, seconds = follow(sequence, VideoPredictor(network, options.backend, device), options)
        scores.append(score)
        spent_s += seconds
    return table(scores, 1e3 * spent_s / sum(len(s.frames) for s in sequences))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The arguments; a wrong one ends the program with 2."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--root", type=Path, required=True, metavar="DIR", help="the data set")
    add("--sequences", default="", metavar="A,B", help="only these (default: all)")
    add("--list", type=Path, metavar="FILE", help="only those in a file of one a line")
    add("--merge", action="store_true", help="all ids are one object (0/255 pictures are so anyway)")
    add("--prompt", choices=KINDS, default="mask", help="of the true mask (default: mask)")
    add("--backend", choices=("sam2", "edgetam"), default="sam2", help="whose memory (sam2)")
    add("--model", choices=tuple(HIERA), default="base_plus", help="of sam2 (base_plus)")
    add("--checkpoint", default="", metavar="PATH", help="file or folder (default: where fetch_weights puts it)")
    add("--seed", type=int, metavar="N", help="weights by rule instead, which mean nothing")
    add("--side", type=int, default=1024, metavar="PX", help="of the square input (1024, as trained)")
    add("--device", default="auto", metavar="NAME", help="auto, cpu or cuda (auto)")
    add("--save", type=Path, metavar="DIR", help="write label images as a submission folder")
    add("--json", type=Path, metavar="OUT", help="write the table")
    options = parser.parse_args(argv)
    if options.side not in SIDES:
        parser.error(f"--side is {options.side}; needs one of {', '.join(map(str, SIDES))}")
    if options.seed is not None and options.checkpoint:
        parser.error("--seed makes weights by rule and --checkpoint reads them: give one of the two")
    return options


def main(argv: list[str] | None = None) -> int:
    """Run the command; the answer is its exit code."""
    return run_report("sam2_video", parse(argv), _measure_or_refuse, show)


def _measure_or_refuse(options: argparse.Namespace) -> Report:
    """As `measure`; ConfigError where a package is missing."""
    try:
        return measure(options)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the package {error.name} is missing; `pip install -r requirements-sam2.txt` brings it"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
