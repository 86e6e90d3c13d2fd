"""Published weights: their table, and the file that a name or a path of the config stands for. Opens no connection.

`tools/fetch_weights.py` puts the files into `folder()` and checks them; docs/weights.md says where sums and sizes come
from.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stream.errors import CheckpointError, ConfigError, nearest

MIB = 1 << 20
GIB = 1 << 30
PART = ".part"  # ends the name of a file that has not come all the way


@dataclass(frozen=True)
class Checkpoint:
    """One published file of weights."""

    name: str  # what commands call it
    file: str  # its name in folder()
    urls: tuple[str, ...]  # tried in this order; a .tar.gz holds `published_as` in some folder
    size: int  # bytes; 0: not known
    licence: str  # SPDX
    md5: str = ""  # empty: not known
    sha256: str = ""  # or its first 8 digits, where no more is published
    published_as: str = ""  # the name it is published by, where `file` is another
    section: str = "decoder"  # of the config, whose key `checkpoint` takes a path of one's own
    terms: str = ""  # what the licence forbids, in a few words: said when it is fetched
    converted: str = ""  # what the package that runs it calls it in a folder of its own; empty: it has no such form


_META = "https://dl.fbaipublicfiles.com/segment_anything/"
# A revision in the address: what it gives never changes.
_META_2 = "https://dl.fbaipublicfiles.com/segment_anything_2/092824/"
_EDGETAM = "https://huggingface.co/spaces/facebook/EdgeTAM/resolve/main/checkpoints/edgetam.pt"
_EDGETAM_CODE = "https://github.com/facebookresearch/EdgeTAM/raw/main/checkpoints/edgetam.pt"
_HQ = "https://huggingface.co/lkeab/hq-sam/resolve/a3a77cd0a2e5e50eaa76faccf61b964732d9b35f/"
_MOBILE = "https://github.com/ChaoningZhang/MobileSAM/raw/01ea8d0f5590082f0c1ceb0a3e2272593f20154b/weights/"
_TORCHVISION = "https://download.pytorch.org/models/"
_MAGICLEAP = "https://github.com/magicleap/SuperGluePretrainedNetwork/raw/ddcf11f42e7e0732a0c4607648f9448ea8d73590/models/weights/"
_RESEARCH = "for non-commercial research only"
_PIPS = "https://huggingface.co/aharley/pips/resolve/9c535be5d9713f54e8c8e9c40ae00d60b1357719/"


def _hq_sam(kind: str, size: int, md5: str, sha256: str) -> Checkpoint:
    file = f"sam_hq_{kind}.pth"
    return Checkpoint(f"hq_sam_{kind}", file, (_HQ + file,), size, "Apache-2.0", md5, sha256)


def _sam(kind: str, size: int, md5: str, sha256: str) -> Checkpoint:
    file = f"sam_{kind}_{md5[:6]}.pth"  # Meta names its files by the start of their md5
    return Checkpoint(f"sam_{kind}", file, (_META + file,), size, "Apache-2.0", md5, sha256)


def _sam2(model: str, size: int, sha256: str) -> Checkpoint:
    file = f"sam2.1_hiera_{model}.pt"
    return Checkpoint(
        f"sam2_{model}", file, (_META_2 + file,), size, "Apache-2.0", sha256=sha256, converted="model.safetensors"
    )


_TABLE = (
    Checkpoint(
        name="pips",
        file="pips_model-000200000.pth",  # PIPS++ publishes a model-000200000.pth as well
        urls=(
            _PIPS + "model-000200000.pth",
            "https://www.dropbox.com/s/glk6jmoa9yeervl/reference_model.tar.gz?dl=1",
        ),
        size=344_375_489,
        licence="MIT",
        md5="9f34c4cd5d6f54cb11e1911841ac702c",
        sha256="8754dc92c12547f48874fcfb250a0cd914961d26ff561430f8e05d50945f7248",
        published_as="model-000200000.pth",
        section="tracker",
    ),
    Checkpoint(
        name="raft",
        file="raft_large_C_T_V1-22a6c225.pth",
        urls=(_TORCHVISION + "raft_large_C_T_V1-22a6c225.pth",),  # the authors' raft-things.pth, renamed
        size=0,  # about 20 MiB
        licence="BSD-3-Clause",
        sha256="22a6c225",  # torch hub names its files by the start of their sha256
        published_as="raft-things.pth",
        section="tracker",
    ),
    Checkpoint(
        name="tapnet",
        file="tapnet_checkpoint.npy",
        urls=("https://storage.googleapis.com/dm-tapnet/checkpoint.npy",),
        size=0,  # about 32 MiB
        licence="Apache-2.0",
        md5="b8a1ad6eab94ce53be3ce870ed829552",
        published_as="checkpoint.npy",
        section="tracker",
    ),
    Checkpoint(
        name="superpoint",
        file="superpoint_v1.pth",
        urls=(_MAGICLEAP + "superpoint_v1.pth",),
        size=5_206_086,
        licence="LicenseRef-MagicLeap-research",
        sha256="52b6708629640ca883673b5d5c097c4ddad37d8048b33f09c8ca0d69db12c40e",
        section="tracker",
        terms=_RESEARCH,
    ),
    Checkpoint(
        name="superglue",
        file="superglue_outdoor.pth",
        urls=(_MAGICLEAP + "superglue_outdoor.pth",),
        size=0,  # about 46 MiB
        licence="LicenseRef-MagicLeap-research",
        sha256="2f5f5e9bb3febf07b69df633c4c3ff7a17f8af26a023aae2b9303d22339195bd",
        section="tracker",
        terms=_RESEARCH,
    ),
    Checkpoint(
        name="disk",
        file="depth-save.pth",
        urls=("https://raw.githubusercontent.com/cvlab-epfl/disk/master/depth-save.pth",),
        size=4_375_832,
        licence="Apache-2.0",
        sha256="9c2ee4ded238892dfa51569941372601e35e4a74aa6f84ea80053d2ab1c07abe",
        section="tracker",
    ),
    Checkpoint(
        name="lightglue_disk",
        file="disk_lightglue_v0-1_arxiv.pth",  # as kornia and torch hub call it
        urls=("https://github.com/cvg/LightGlue/releases/download/v0.1_arxiv/disk_lightglue.pth",),
        size=47_631_405,
        licence="Apache-2.0",
        sha256="b5b21d47ea24f2c5e501aec9c91b9716e4c8c3429a4dc1e615c133c4c9378335",
        published_as="disk_lightglue.pth",
        section="tracker",
    ),
    _sam(
        "vit_b",
        375_042_383,
        "01ec64d29a2fca3f0661936605ae66f8",
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    _sam(
        "vit_l",
        1_249_524_607,
        "0b3195507c641ddb6910d2bb5adee89c",
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    _sam(
        "vit_h",
        2_564_550_879,
        "4b8939a88964f0f4ff5f5b2642c598a6",
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
    _hq_sam(
        "vit_b",
        379_335_069,
        "c6b8953247bcfdc8bb8ef91e36a6cacc",
        "14a9d662cd6f5a9c2dba6d40ab0058d88d287e4a18fd6fdc6ad5fb1a3fdeaa57",
    ),
    _hq_sam(
        "vit_l",
        1_254_865_805,
        "08947267966e4264fb39523eccc33f86",
        "e1a6c385d62bf005ded91a54d5ec55c985cfc4103ef89c08d90f39f04934c343",
    ),
    _hq_sam(
        "vit_h",
        2_570_940_653,
        "3560f6b6a5a6edacd814a1325c39640a",
        "a7ac14a085326d9fa6199c8c698c4f0e7280afdbb974d2c4660ec60877b45e35",
    ),
    _hq_sam(
        "vit_tiny",
        42_526_881,
        "3a661ab92d4088ccd6232fa542998a65",
        "0f32c075ccdd870ae54db2f7630e7a0878ede5a2b06d05d6fe02c65a82fb7196",
    ),
    Checkpoint(
        name="mobile_sam",
        file="mobile_sam.pt",
        urls=(_MOBILE + "mobile_sam.pt",),
        size=40_728_226,
        licence="Apache-2.0",
        md5="f3c0d8cda613564d499310dab6c812cd",
        sha256="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
    ),
    _sam2("tiny", 156_008_466, "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69"),
    _sam2("small", 184_416_285, "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38"),
    _sam2("base_plus", 323_606_802, "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5"),
    _sam2("large", 898_083_611, "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318"),
    Checkpoint(
        name="edgetam",
        file="edgetam.pt",
        urls=(_EDGETAM, _EDGETAM_CODE),
        size=0,  # 56.1 MB
        licence="Apache-2.0",
        sha256="ed2d4850b8792c239689b043c47046ec239b6e808a3d9b6ae676c803fd8780df",
        converted="model.safetensors",
    ),
)
PUBLISHED: dict[str, Checkpoint] = {checkpoint.name: checkpoint for checkpoint in _TABLE}


def folder() -> Path:
    """Where checkpoints are kept: the cache of torch hub, found as torch finds it, without loading torch."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or os.path.join(cache, "torch")
    return Path(home).expanduser() / "hub" / "checkpoints"


def published(name: str) -> Checkpoint:
    """The row of a name; ConfigError suggests the nearest one."""
    if name not in PUBLISHED:
        raise ConfigError(f"{name!r} is no published checkpoint; {nearest(name, PUBLISHED)}")
    return PUBLISHED[name]


def find(name: str, explicit: str = "") -> Path:
    """The file of a checkpoint: `explicit` if given (a file, or a folder with it; ~ is the home), or the fetched one.

    CheckpointError says how to get what is not there; nothing else is ever taken in its place. What is inside the file
    is for the loader to check: it loads strictly.
    """
    checkpoint = published(name)
    key = f"{checkpoint.section}.checkpoint"
    path = Path(explicit).expanduser() if explicit else folder() / checkpoint.file
    if explicit and path.is_dir():
        names = (checkpoint.file, checkpoint.published_as, checkpoint.converted)
        inside = [path / file for file in names if file and (path / file).is_file()]
        if not inside:
            expected = " or ".join(n for n in (checkpoint.published_as or checkpoint.file, checkpoint.converted) if n)
            raise CheckpointError(f"{key}: there is no {expected} in the folder {path}; give the file itself")
        return inside[0]
    if path.is_file():
        return path
    command = f"python tools/fetch_weights.py {name}"
    if explicit:
        raise CheckpointError(
            f"{key} is {explicit}: {'no file' if path.exists() else 'not there'}; "
            f"give a file, or leave it empty and run `{command}`, which gets it ({readable(checkpoint.size)})"
        )
    part = path.with_name(path.name + PART)
    state = f"only {readable(part.stat().st_size)} of it came so far" if part.is_file() else "not there"
    verb = "gets the rest" if part.is_file() else "gets it"
    raise CheckpointError(
        f"checkpoint {name}: {path}: {state}; "
        f"`{command}` {verb} ({readable(checkpoint.size)}), or give --set {key}=FILE"
    )


def find_all(names: Sequence[str], explicit: str = "") -> list[Path]:
    """The files of a model that has several: in the folder `explicit` if given, or the fetched ones; CheckpointError.

    A single file can't hold them all.
    """
    if explicit and not Path(explicit).expanduser().is_dir():
        files = " and ".join(published(name).file for name in names)
        path = Path(explicit).expanduser()
        raise CheckpointError(
            f"{published(names[0]).section}.checkpoint is {explicit}: {'a file' if path.exists() else 'not there'}; "
            f"give the folder that holds {files}, or leave it empty and run `python tools/fetch_weights.py "
            f"{' '.join(names)}`"
        )
    if not explicit:
        check_there(names)
    return [find(name, explicit) for name in names]


def check_there(names: Sequence[str]) -> None:
    """CheckpointError, with the one command that fetches them, for published weights that have not been fetched."""
    missing = [published(name) for name in names if not (folder() / published(name).file).is_file()]
    if len(missing) == 1:
        find(missing[0].name)
    elif missing:
        both = " and ".join(f"{c.name} ({readable(c.size)})" for c in missing)
        command = f"python tools/fetch_weights.py {' '.join(c.name for c in missing)}"
        keys = ", ".join(f"--set {c.section}.checkpoint=FILE" for c in missing)
        raise CheckpointError(f"checkpoints {both} are not in {folder()}; `{command}` gets them, or give {keys}")


def readable(size: int) -> str:
    """A number of bytes in words: 358 MiB, 2.4 GiB."""
    if not size:
        return "size unknown"
    if size >= GIB:
        return f"{size / GIB:.1f} GiB"
    if size >= 10 * MIB:
        return f"{size / MIB:.0f} MiB"
    return f"{size / MIB:.1f} MiB" if size >= MIB // 10 else f"{size:,} bytes"
