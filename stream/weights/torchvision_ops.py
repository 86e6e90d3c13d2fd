"""Torchvision made importable beside any torch, before a package of the SAM family imports it.

The torchvision of the package index is built for CUDA. Beside a CPU-only torch its compiled operators can't load, and
the import ends with "operator torchvision::nms does not exist": it describes the shapes of two operators that it takes
for granted. Nothing here calls them, so it is enough that their schemas are known.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[torch.library.Library] = []  # schemas live as long as their library object


def prepare_torchvision() -> bool:
    """Make `import torchvision` work; True if its own operators are there, False if only their names are.

    Has to come before anything that imports torchvision (or timm, which does).
    """
    if _declared:
        return False
    if "torchvision" in sys.modules or _load_operators():
        return True
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for schema in SCHEMAS:
        library.define(schema)  # type: ignore[no-untyped-call]
    _declared.append(library)
    return False


def import_quietly(name: str) -> ModuleType:
    """A package of the SAM family, without the warnings that it causes on import and that no user can act on."""
    prepare_torchvision()
    with warnings.catch_warnings():
        # segment_anything_hq takes timm's layers and registry from their old places
        warnings.filterwarnings("ignore", message="Importing from timm", category=FutureWarning)
        # and registers TinyViT under names that timm now has itself; we build the classes, never by those names
        warnings.filterwarnings("ignore", message="Overwriting tiny_vit", category=UserWarning)
        return importlib.import_module(name)


def _load_operators() -> bool:
    """Load torchvision's compiled operators the way that it does; loading them twice is harmless."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return True  # not installed: the import says so better than we could
    for library in sorted(Path(spec.origin).parent.glob("_C*")):
        try:
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
        except OSError:
            continue  # built for another torch
        return True
    return False
