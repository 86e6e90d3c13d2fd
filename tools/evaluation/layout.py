"""A data set's folder in, its sequences out: frames, annotations, and which of their objects begin where.

    DAVIS         ROOT/JPEGImages/480p/SEQ/00000.jpg        ROOT/Annotations/480p/SEQ/00000.png, one a frame
    MOSE          ROOT/[valid/]JPEGImages/SEQ/...           ROOT/[valid/]Annotations/SEQ/...
    YouTube-VOS   ROOT/valid_all_frames/JPEGImages/SEQ/...  ROOT/valid/Annotations/SEQ/..., ROOT/valid/meta.json

An object begins on the first annotation that holds it. Where no object is annotated twice the annotations are prompts
and nothing can be scored here: the masks are written for a server to score.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from nodes.capture.folder import PICTURES, natural_order, visible_entries
from nodes.capture.label_images import read_labels
from stream.arrays import Array
from stream.errors import ConfigError, PromptError, nearest
from tools.evaluation.mask_lines import find_lines, unpack_lines

VOID = 255  # beside other ids: a pixel that counts for nothing (DAVIS 2017); alone it is the object (DAVIS 2016)
RESOLUTIONS = ("", "480p", "Full-Resolution")
PARTS = ("", "valid_all_frames", "all_frames/valid_all_frames", "valid", "train_all_frames", "train")
MAX_LISTED = 8  # missing files that a message lists by name


@dataclass(frozen=True)
class VideoSequence:
    """One sequence of a data set; its files are read when they are needed."""

    name: str
    stems: tuple[str, ...]  # names of its frames in order: 00000, 00001, ...
    frames: tuple[Path, ...]  # one a stem; empty where masks of another program are scored
    annotations: dict[int, Path]  # by frame index
    merge: bool = False  # all ids > 0 are one object
    submitted: frozenset[str] | None = None  # stems that a submission holds; None: all

    @cached_property
    def merged(self) -> bool:
        """Whether all ids are one object: by option, or because of a picture of 0 and 255 alone, as in DAVIS 2016."""
        return self.merge or ids_of(read_label_file(self.annotations[min(self.annotations)])) == [VOID]

    @cached_property
    def has_truth(self) -> bool:
        """Whether annotations do more than show where objects begin: one of them repeats an object."""
        seen: set[int] = set()
        for index in sorted(self.annotations):
            ids = set(ids_of(self.labels(index)[0]))
            if ids & seen:
                return True
            seen |= ids
        return False

    def labels(self, index: int) -> tuple[Array, Array | None]:
        """The annotation of a frame: (H, W) label image without void, and (H, W) bool void pixels, None for none."""
        labels = read_label_file(self.annotations[index])
        if self.merged:
            return (labels != 0).astype(np.uint8), None
        if labels.dtype != np.uint8:  # of 16 bits, where 255 is an id like any other
            return labels, None
        void = labels == VOID
        return (np.where(void, 0, labels), void) if void.any() else (labels, None)


def find_sequences(root: Path, names: Sequence[str] = (), *, merge: bool = False) -> list[VideoSequence]:
    """The sequences of a data set with their frames, those named or all; ConfigError says what is missing."""
    frames = _folder(root, "JPEGImages", "--root")
    annotations = _folder(root, "Annotations", "--root")
    submitted = _submitted(annotations)
    sequences = []
    for name in _names(annotations, names):
        if not (frames / name).is_dir():
            raise ConfigError(f"sequence {name}: no folder {frames / name}; its frames are needed there")
        entries = visible_entries(frames / name)
        pictures = sorted((p for p in entries if p.suffix.lower() in PICTURES), key=natural_order)
        stems = tuple(p.stem for p in pictures)
        by_index = _by_index(annotations / name, stems)
        sequences.append(VideoSequence(name, stems, tuple(pictures), by_index, merge, submitted.get(name)))
    return sequences


def find_truth(folder: Path, names: Sequence[str] = (), *, merge: bool = False) -> list[VideoSequence]:
    """The sequences of a data set, or of a folder of annotations, without their frames: each annotation is a frame."""
    annotations = folder if _has_pngs_below(folder) else _folder(folder, "Annotations", "--truth")
    sequences = []
    for name in _names(annotations, names):
        stems = tuple(p.stem for p in _pngs(annotations / name))
        sequences.append(VideoSequence(name, stems, (), _by_index(annotations / name, stems), merge))
    return sequences


def find_results(folder: Path, sequence: VideoSequence) -> list[Path]:
    """A label image for each frame of the sequence; ConfigError names those that are missing.

    Where the results are lines of masks (of a recording), label images are made of them, in a temporary folder.
    """
    if (lines := find_lines(folder, sequence.name)) is not None:
        return unpack_lines(lines, sequence.stems)
    results = next((f for f in (folder / sequence.name, folder / "Annotations" / sequence.name) if f.is_dir()), None)
    if results is None:
        raise ConfigError(
            f"--results {folder}: no folder {sequence.name}; needs SEQUENCE/00000.png, one for each frame"
        )
    missing = [f"{stem}.png" for stem in sequence.stems if not (results / f"{stem}.png").is_file()]
    if missing:
        raise ConfigError(
            f"{results}: {len(missing)} of {len(sequence.stems)} frames are missing: {_listed(missing)}; "
            "needs a label image for every frame of the truth"
        )
    return [results / f"{stem}.png" for stem in sequence.stems]


def read_label_file(path: Path) -> Array:
    """(H, W) uint8 or uint16: the label image in a file; ConfigError where there is none."""
    try:
        return read_labels(path)
    except PromptError as error:
        raise ConfigError(str(error).removeprefix("--mask ")) from None


def ids_of(labels: Array) -> list[int]:
    """The ids > 0 in a label image, ascending."""
    if labels.dtype == np.uint8:  # ten times as fast as sorting all pixels
        return [int(i) for i in np.flatnonzero(np.bincount(labels.ravel(), minlength=1)) if i]
    return [int(i) for i in np.unique(labels) if i]


def names_of(options: argparse.Namespace) -> list[str]:
    """The sequences that --sequences or --list ask for; none: all."""
    return read_list(options.list) if options.list else [n.strip() for n in options.sequences.split(",") if n.strip()]


def sequences_of(options: argparse.Namespace) -> list[VideoSequence]:
    """The sequences that a command asks for, with their frames."""
    return find_sequences(options.root, names_of(options), merge=options.merge)


def read_list(path: Path) -> list[str]:
    """The names in a file of one a line (ImageSets/2017/val.txt)."""
    try:
        return [line.strip() for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--list {path}: can't be read ({error.__class__.__name__}); needs a name a line") from None


# --- where things lie -----------------------------------------------------------------------------------------------


def _folder(root: Path, kind: str, option: str) -> Path:
    """The folder of sequences: JPEGImages or Annotations, with or without parts and resolutions around it."""
    for part in PARTS:
        base = root / part / kind
        if base.is_dir():
            inner = [base / r for r in RESOLUTIONS[1:] if (base / r).is_dir()]
            return inner[0] if inner else base
    raise ConfigError(f"{option} {root}: no folder {kind} in it; needs the layout of DAVIS, YouTube-VOS or MOSE")


def _names(annotations: Path, requested: Sequence[str]) -> list[str]:
    available = sorted(p.name for p in visible_entries(annotations) if p.is_dir())
    for name in requested:
        if name not in available:
            raise ConfigError(f"sequence {name!r}: not in {annotations}; {nearest(name, available)}")
    if not available:
        raise ConfigError(f"{annotations}: holds no sequences; needs a folder a sequence")
    return list(requested) or available


def _by_index(folder: Path, stems: Sequence[str]) -> dict[int, Path]:
    index = {stem: i for i, stem in enumerate(stems)}
    files = _pngs(folder)
    unmatched = [p.name for p in files if p.stem not in index]
    if unmatched:
        raise ConfigError(f"{folder}: {_listed(unmatched)} belong to no frame; names must be those of the frames")
    if not files:
        raise ConfigError(f"{folder}: holds no *.png; an annotation of the first frame, at least, is needed")
    return {index[p.stem]: p for p in files}


def _submitted(annotations: Path) -> dict[str, frozenset[str]]:
    """Stems that a submission holds, by sequence, as YouTube-VOS' meta.json names them; empty where there is none."""
    path = annotations.parent / "meta.json"
    if not path.is_file():
        return {}
    try:
        videos = json.loads(path.read_text())["videos"]
        return {n: frozenset(f for o in v["objects"].values() for f in o["frames"]) for n, v in videos.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(f"{path}: no meta.json of YouTube-VOS; needs videos -> objects -> frames") from None


def _has_pngs_below(folder: Path) -> bool:
    if not folder.is_dir():
        raise ConfigError(f"--truth {folder}: no such folder")
    return any(p.is_dir() and _pngs(p) for p in visible_entries(folder))


def _pngs(folder: Path) -> list[Path]:
    return sorted((p for p in visible_entries(folder) if p.suffix.lower() == ".png"), key=natural_order)


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - MAX_LISTED} more" if len(listed) > MAX_LISTED else ""
    return ", ".join(listed[:MAX_LISTED]) + more
