"""The two files of a matcher in a folder: good ones, and those that are not theirs."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

of_each_file = pytest.mark.parametrize("which", [0, 1])
with_wrong_content = pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"<!DOCTYPE html><html>", "is a web page"),
        (b"PK\x03\x04 cut short", "cut short, damaged, or no checkpoint"),
        ({"conv1.weight": torch.zeros(3)}, "holds other weights than"),
        ({"model": print}, "calls for print. Refused, none of it was run"),
    ],
    ids=["page", "truncated", "another", "code"],
)


def write_files(folder, names, contents):
    """The files; bytes as they are, anything else by torch."""
    for name, content in zip(names, contents, strict=True):
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            torch.save(content, folder / name)
