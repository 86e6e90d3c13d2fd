"""Files of weights made by a rule for any point tracker, and keys that make it small; what it lacks skips the test."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

SMALL = {"tracker.size": "128x160", "tracker.flow_updates": 1, "tracker.max_keypoints": 60, "tracker.device": "cpu"}
BACKENDS = ("lucas_kanade", "pips", "raft", "tapnet", "superglue", "lightglue")


def keys_of(backend: str, folder: Path) -> dict[str, object]:
    """The keys of a config for a tracker, its weights written to the folder."""
    return {"tracker.backend": backend, "tracker.checkpoint": checkpoint_of(backend, folder), **SMALL}


def checkpoint_of(backend: str, folder: Path) -> str:
    """What `tracker.checkpoint` is to be, once the weights are written to the folder."""
    if backend == "lucas_kanade":
        return ""
    torch = pytest.importorskip("torch")
    match backend:
        case "pips":
            from tools.goldens.weights import pips_weights

            torch.save(pips_weights(0), folder / "model-000200000.pth")
        case "raft":
            from tools.goldens.trackers.raft_weights import raft_weights

            torch.save(raft_weights(0), folder / "raft-things.pth")
        case "tapnet":
            from tools.goldens.trackers.tapnet_weights import tapnet_tree

            np.save(folder / "checkpoint.npy", tapnet_tree(0), allow_pickle=True)
        case "superglue":
            pytest.importorskip("transformers")
            from tools.goldens.trackers.superglue_weights import superglue_weights, superpoint_weights

            torch.save(superpoint_weights(0), folder / "superpoint_v1.pth")
            torch.save(superglue_weights(0), folder / "superglue_outdoor.pth")
        case "lightglue":
            pytest.importorskip("kornia")
            from tools.goldens.trackers.lightglue_weights import disk_weights, lightglue_weights

            torch.save({"extractor": disk_weights(0)}, folder / "depth-save.pth")
            torch.save(lightglue_weights(0), folder / "disk_lightglue.pth")
    return str(folder)
