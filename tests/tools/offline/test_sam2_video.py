"""The memory of SAM 2.1 and EdgeTAM on finished clips: the package's own masks, scored as any others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import SET_FRAMES, davis_set
from running import evaluated

from nodes.capture.label_images import read_labels
from nodes.decoder.sam2.model_registry import build_video_network, import_module
from stream.messages import Prompt
from tools.goldens.sam2_weights import sam2_weights
from tools.offline import sam2_video

SIDE = 256


def test_what_it_saves_scores_the_same_by_the_evaluator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    davis_set(tmp_path / "set", "one")
    options = ["--backend", "edgetam", "--seed", "0", "--side", str(SIDE), "--device", "cpu"]
    options += ["--root", str(tmp_path / "set"), "--save", str(tmp_path / "masks"), "--json", str(tmp_path / "v.json")]
    assert sam2_video.main(options) == 0, capsys.readouterr().err
    report = json.loads((tmp_path / "v.json").read_text())
    again = evaluated(tmp_path, "score", "--results", tmp_path / "masks", "--truth", tmp_path / "set", "--jobs", 1)
    assert report["sequences"] == again["sequences"]
    assert report["ms_per_frame"] > 0
    assert len(list((tmp_path / "masks" / "one").iterdir())) == SET_FRAMES
    first = read_labels(tmp_path / "masks" / "one" / "00000.png")
    assert set(np.unique(first)) - {0} <= {1, 3}


@pytest.mark.parametrize("backend", ["sam2", "edgetam"])
def test_frame_by_frame_it_gives_the_masks_of_the_packages_whole_video(backend: str) -> None:
    network = build_video_network(backend, "tiny", SIDE)
    network.load_state_dict(sam2_weights(1, backend, "tiny", video=True))
    rng = np.random.default_rng(0)
    frames = [np.roll(rng.integers(0, 256, (9, 12, 3), np.uint8).repeat(8, 0).repeat(8, 1), i, 1) for i in range(4)]
    masks = {1: np.zeros((72, 96), np.uint8), 2: np.zeros((72, 96), np.uint8)}
    masks[1][10:40, 20:50], masks[2][30:60, 50:90] = 1, 1

    predictor = sam2_video.VideoPredictor(network, backend, torch.device("cpu"))
    prompts = {i: Prompt(object_id=i, mask=mask) for i, mask in masks.items()}
    ours = [predictor.step(i, rgb, prompts if i == 0 else {}) for i, rgb in enumerate(frames)]

    processor = predictor.processor
    modeling = import_module(f"models.{backend}_video.modeling_{backend}_video")
    session = getattr(modeling, f"{'EdgeTam' if backend == 'edgetam' else 'Sam2'}VideoInferenceSession")(
        video=torch.stack([processor.image_processor(f, return_tensors="pt").pixel_values[0] for f in frames]),
        video_height=72,
        video_width=96,
        dtype=torch.float32,
    )
    processor.process_new_mask_for_video_frame(session, 0, [1, 2], [mask != 0 for mask in masks.values()])
    network(session, frame_idx=0)
    theirs = []
    for answer in network.propagate_in_video_iterator(session):
        logits = processor.post_process_masks([answer.pred_masks], [[72, 96]], binarize=False)[0][:, 0]
        theirs.append(np.where(logits.max(0).values > 0, 1 + logits.argmax(0), 0))
    assert len({labels.tobytes() for labels in theirs}) > 1
    for own, package in zip(ours, theirs, strict=True):
        assert (own != package).mean() < 0.005  # where a logit is nearly 0, rounding decides


def test_missing_weights_end_it_with_the_command_that_fetches_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    davis_set(tmp_path / "set", "one")
    assert sam2_video.main(["--root", str(tmp_path / "set"), "--model", "tiny", "--device", "cpu"]) == 3
    assert "`python tools/fetch_weights.py sam2_tiny`" in capsys.readouterr().err
