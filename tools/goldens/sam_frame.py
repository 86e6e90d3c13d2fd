"""`sam_frame_*.npz`: a real frame through the ViT-B encoder and a case of prompting on it, against ours."""

from __future__ import annotations

from pathlib import Path

from tools.goldens.folder_weights import Weights
from tools.goldens.pictures import shown_at
from tools.goldens.rows import Golden, Row, differing, farthest
from tools.goldens.sam_prompting import compare_case, worst
from tools.goldens.sam_weights import find_sam

EMBEDDING = 1e-4


def compare(path: Path, folder: Path, weights: Weights) -> list[Row]:
    """The resized frame, its embedding, and every call of SAM."""
    golden, sam = Golden(path), find_sam(weights)
    (frame,) = (golden[name] for name in golden if name.startswith("frame_") and not name.endswith("_sub"))
    rgb = shown_at(frame)
    embedding = sam.encode(rgb)
    features = embedding.features[0][0].float().cpu().numpy()  # (256, 64, 64)
    channels = features.reshape(len(features), -1)
    mean, deviation = channels.mean(axis=1), channels.std(axis=1, ddof=1)
    rows = [
        differing("resized frame, levels", rgb[::16, ::16], golden["frame_1024_sub"]),
        farthest("embedding", features[::8, ::4, ::4], golden["embedding_sub"], EMBEDDING),
        farthest("embedding, mean of each channel", mean, golden["embedding_mean"], EMBEDDING),
        farthest("embedding, deviation of each channel", deviation, golden["embedding_std"], EMBEDDING),
    ]
    for case in sorted({name.rpartition("/")[0] for name in golden if name.endswith("/config")}):
        rows += worst(compare_case(golden, case, sam, embedding)[0])
    return rows
