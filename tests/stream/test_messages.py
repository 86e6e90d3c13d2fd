from __future__ import annotations

import numpy as np
import pytest
from builders import frame, masks, object_mask
from msgspec.structs import replace


def test_a_mask_outside_its_frame_is_refused():
    with pytest.raises(ValueError, match="outside the frame"):
        masks(0, object_mask(bbox=(5, 1, 2, 2)), size=(4, 6))


def test_label_images_hold_ids_and_grow_wide_with_them():
    few = masks(0, object_mask(3, (0, 0, 2, 2)), object_mask(7, (3, 1, 2, 2)), size=(4, 6)).label_image()
    assert few.dtype == np.uint8
    assert sorted(np.unique(few)) == [0, 3, 7]
    assert masks(0, object_mask(300)).label_image().dtype == np.uint16


@pytest.mark.parametrize(
    "fields", [{"name": b"../up"}, {"name": b"nul\0"}, {"pixel_aspect": (0, 1)}, {"pixel_aspect": (1, 1 << 16)}]
)
def test_a_frame_whose_name_is_a_path_or_whose_pixels_have_no_shape_is_refused(fields):
    with pytest.raises(ValueError, match=r"frame\.(name|pixel_aspect) is"):
        replace(frame(), **fields)
