"""A checkpoint is read as data, whole and strictly, or refused in one sentence that names it."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from stream.errors import CheckpointError
from stream.weights.loading import load_strictly, read_tensors


class Payload:
    """Unpickled by a careless reader, this makes a file."""

    def __init__(self, makes: Path) -> None:
        self.makes = makes

    def __reduce__(self):
        return os.system, (f"touch {self.makes}",)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "weights.pth"


def small():
    return nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))


def load(file, module=None):
    load_strictly(module or small(), read_tensors(file, "pips"), file, "pips")


@pytest.mark.parametrize("old_format", [False, True])
@pytest.mark.parametrize("key", [None, "model_state_dict", "state_dict"])
def test_a_checkpoint_is_read_bare_or_out_of_a_training_run(file, key, old_format):
    source, target = small(), small()
    content = source.state_dict() if key is None else {key: source.state_dict(), "optimizer_state_dict": {"step": 3}}
    torch.save(content, file, _use_new_zipfile_serialization=not old_format)
    load(file, target)
    for mine, theirs in zip(target.parameters(), source.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_module_without_memory_gets_its_own(file):
    source = small()
    torch.save(source.state_dict(), file)
    with torch.device("meta"):
        target = small()
    load(file, target)
    os.truncate(file, 10)  # the tensors are no longer those of the file
    assert torch.equal(target[0].weight, source[0].weight)


def test_tensors_of_another_precision_are_taken_in_the_modules_own(file):
    torch.save(small().double().state_dict(), file)
    target = small()
    load(file, target)
    assert {p.dtype for p in target.parameters()} == {torch.float32}


def broken(kind: str, file: Path) -> None:
    torch.save(small().state_dict(), file, _use_new_zipfile_serialization=kind != "old and truncated")
    if kind == "missing":
        file.unlink()
    elif kind == "empty":
        file.write_bytes(b"")
    elif kind == "web page":
        file.write_text("\n<!DOCTYPE html><html><body>Sign in</body></html>")
    elif kind == "archive":
        file.write_bytes(b"\x1f\x8b\x08" + bytes(100))
    elif kind == "pointer":
        file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 3\n")
    elif kind == "noise":
        file.write_bytes(torch.arange(4000, dtype=torch.int16).numpy().tobytes())
    elif kind == "folder":
        file.unlink()
        file.mkdir()
    elif "truncated" in kind:
        os.truncate(file, file.stat().st_size // 2)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "no such file; `python tools/fetch_weights.py pips`"),
        ("empty", "is empty"),
        ("web page", "is a web page"),
        ("archive", "unpack it"),
        ("pointer", "git-lfs"),
        ("noise", "is cut short, damaged, or no checkpoint"),
        ("folder", "can't be read"),
        ("truncated", "is cut short, damaged, or no checkpoint"),
        ("old and truncated", "is cut short, damaged, or no checkpoint"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused_by_name(file, kind, says):
    broken(kind, file)
    with pytest.raises(CheckpointError) as caught:
        load(file)
    assert says in str(caught.value)
    assert str(file) in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("form", ["checkpoint", "old checkpoint", "pickle"])
def test_a_pickle_with_code_in_it_is_refused_and_nothing_is_run(file, tmp_path, form):
    trace = tmp_path / "trace"
    content = {"model_state_dict": small().state_dict(), "extra": Payload(trace)}
    if form == "pickle":
        file.write_bytes(pickle.dumps(content["extra"]))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=form == "checkpoint")
    named = "no checkpoint" if form == "pickle" else r"it calls for posix\.system"  # torch reads no new pickle at all
    with pytest.raises(CheckpointError, match=rf"{named}\. Refused, none of it was run"):
        read_tensors(file, "pips")
    assert not trace.exists()


def test_a_whole_saved_module_is_refused_because_it_is_more_than_tensors(file):
    torch.save(small(), file)
    with pytest.raises(CheckpointError, match=r"it calls for torch\.nn\.modules"):
        read_tensors(file, "pips")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([torch.zeros(2)], "holds a list without tensors"),
        ({}, "holds a dict without tensors"),
        ({"epoch": 3}, "'epoch' is a int, no tensor"),
        ({3: torch.zeros(2)}, "'3' is a Tensor, no tensor"),
    ],
)
def test_content_that_is_no_dict_of_tensors_is_refused(file, content, says):
    torch.save(content, file)
    with pytest.raises(CheckpointError, match=says):
        read_tensors(file, "pips")


def test_the_weights_of_another_model_are_refused_with_the_names_that_differ(file):
    torch.save({"image_encoder.a": torch.zeros(2), "image_encoder.b": torch.zeros(2), "0.bias": torch.zeros(2)}, file)
    with pytest.raises(CheckpointError) as caught:
        load(file)
    assert "of 4 tensors 3 (0.weight, 1.bias, 1.weight) are missing" in str(caught.value)
    assert "2 (image_encoder.a, image_encoder.b) are not known" in str(caught.value)


def changed(name: str, tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    return {**small().state_dict(), name: tensor}


@pytest.mark.parametrize(
    ("tensor", "says"),
    [
        (torch.zeros(2, 4), r"0\.weight has the shape \(2, 4\), pips needs \(2, 3\)"),
        (torch.zeros(2, 3, dtype=torch.int64), r"0\.weight is int64, pips needs float32"),
        (torch.zeros(2, 3).to_sparse(), r"0\.weight is sparse"),
        (torch.tensor([[0, 1, 2], [3, float("nan"), float("inf")]]), r"0\.weight holds 2 numbers that are NaN"),
    ],
)
def test_a_tensor_that_does_not_fit_is_refused_by_name(file, tensor, says):
    torch.save(changed("0.weight", tensor), file)
    with pytest.raises(CheckpointError, match=says):
        load(file)


def test_one_tensor_too_many_is_refused(file):
    torch.save(changed("2.weight", torch.zeros(1)), file)
    with pytest.raises(CheckpointError, match=r"0 are missing, and 1 \(2\.weight\) is not known"):
        load(file)
