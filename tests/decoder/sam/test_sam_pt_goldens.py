"""SAM-PT's prompting, re-initialisation and patch filter against the numbers of the published code."""

from __future__ import annotations

import pytest

from tools.goldens import patch_filter, reinit, sam_prompting
from tools.goldens.folder_weights import Weights
from tools.goldens.rows import Golden
from tools.goldens.sam_weights import embedding_of, find_sam

CASES = (
    "two_objects_no_share",
    "frame_480x854",
    "positives_hidden_negative_visible",
    "all_hidden",
)  # the rest: tools/golden.py


def failing(rows):
    assert rows
    return [row for row in rows if not row.ok]


@pytest.mark.parametrize("case", CASES)
def test_every_pass_of_sam_is_prompted_as_the_reference_does(golden, case):
    numbers, sam = Golden(golden / "sam_prompting.npz"), find_sam(Weights(golden, seed=0))
    height, width = numbers[f"{case}/original_size"].tolist()
    embedding = embedding_of(sam, int(numbers[f"{case}/embedding_seed"]), (height, width))
    rows, _ = sam_prompting.compare_case(numbers, case, sam, embedding)
    assert failing(rows) == []


@pytest.mark.parametrize("case", ["two_objects", "frame_480x854", "all_hidden"])
def test_the_passes_that_read_nothing_back_end_as_the_reference_does(golden, case):
    numbers, sam = Golden(golden / "sam_prompting.npz"), find_sam(Weights(golden, seed=0))
    height, width = numbers[f"{case}/original_size"].tolist()
    embedding = embedding_of(sam, int(numbers[f"{case}/embedding_seed"]), (height, width))
    assert failing(sam_prompting.compare_device_passes(numbers, case, sam, embedding)) == []


def test_the_windows_of_all_variants_are_those_of_the_reference(golden):
    (file,) = golden.glob("reinit*.json")
    assert failing(reinit.compare(file, golden, Weights(golden))) == []


def test_the_patch_filter_rejects_what_the_reference_rejects(golden):
    for file in golden.glob("patch_filter*.npz"):
        assert failing(patch_filter.compare(file, golden, Weights(golden))) == []
