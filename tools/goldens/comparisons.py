"""Which files of a goldens folder are compared, and by what; the first pattern that fits a name counts."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from pathlib import Path

from tools.goldens.folder_weights import Weights
from tools.goldens.rows import Row

Compare = Callable[[Path, Path, Weights], list[Row]]  # a golden file, its folder, the weights

COMPARISONS = {  # pattern of a file's name -> module in this folder, its function; the slowest last
    "pips_functions*.npz": ("pips", "compare_functions"),
    "pips_random*.npz": ("pips", "compare"),
    "pips_window_*.npz": ("pips", "compare"),
    "tracker_*.npz": ("tracker", "compare"),
    "query_points_*.npz": ("query_points", "compare"),
    "patch_filter*.npz": ("patch_filter", "compare"),
    "reinit*.json": ("reinit", "compare"),
    "tapnet_*.npz": ("trackers.tapnet", "compare"),
    "superglue_*.npz": ("trackers.superglue", "compare"),
    "raft_*.npz": ("trackers.raft", "compare"),
    "davis_metrics_*.npz": ("davis_metrics", "compare"),
    "sam_prompting*.npz": ("sam_prompting", "compare"),
    "sam_frame*.npz": ("sam_frame", "compare"),
    "sampt_*.npz": ("sampt", "compare"),
}
NOT_GOLDEN = (
    "clip_*.npz",
    "frames_*.npz",
    "*_state_dict.json",
    "*_key_map_*.json",
    "*.pth",
    "*.py",
    "*.md",
    "*.txt",
)  # what the golden files were made from, and notes


def comparison(name: str) -> Compare | None:
    """What compares a file of that name; None when nothing does."""
    for pattern, (module, function) in COMPARISONS.items():
        if fnmatch(name, pattern):
            compare: Compare = getattr(importlib.import_module(f"tools.goldens.{module}"), function)
            return compare
    return None


def sort_files(files: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """The files that are compared, in the order of the table above, and golden files that nothing compares."""
    names = {f: next((i for i, p in enumerate(COMPARISONS) if fnmatch(f.name, p)), None) for f in sorted(files)}
    compared = sorted((f for f, i in names.items() if i is not None), key=lambda f: (names[f], f.name))
    not_compared = [f for f, i in names.items() if i is None and not any(fnmatch(f.name, p) for p in NOT_GOLDEN)]
    return compared, not_compared
