from __future__ import annotations

import numpy as np
import pytest

from stream.errors import MessageError
from stream.reports import REPORTS, Found, Hello, Proposal
from stream.transport.wire import from_parts, to_parts


def proposal(bbox=(1, 2, 3, 3), **values):
    size = (bbox[2] * bbox[3] + 7) // 8
    return Proposal(**{"bbox": bbox, "bits": np.full(size, 255, np.uint8), "score": 0.9, "inside": (2, 3), **values})


def test_what_was_found_comes_back_as_it_went():
    sent = Found(node="decoder", pid=3, frame_id=7, requested=True, size=(8, 6), objects=(proposal(),))
    came = from_parts(to_parts(sent), *REPORTS)
    assert (type(came), came.frame_id, came.requested, came.objects[0].inside) == (Found, 7, True, (2, 3))
    mask = came.objects[0].whole(came.size)
    assert mask.shape == (8, 6)
    assert mask.sum() == mask[2:5, 1:4].sum() == 9


def test_a_hello_names_the_incarnation_that_says_it():
    came = from_parts(to_parts(Hello(node="decoder", pid=3, incarnation=b"\xff" * 8)), *REPORTS)
    assert came.incarnation == b"\xff" * 8
    with pytest.raises(MessageError, match="incarnation"):
        from_parts(to_parts(Hello(node="decoder", pid=3, incarnation=b"short")), *REPORTS)


@pytest.mark.parametrize(
    ("bbox", "values", "words"),
    [
        ((1, 2, 3, 3), {"bits": np.zeros(1, np.uint8)}, "proposal.bits"),
        ((-1, 2, 3, 3), {}, "0 or more"),
        ((4, 2, 3, 3), {}, "outside the frame"),
    ],
)
def test_a_proposal_that_is_no_mask_of_its_frame_is_refused(bbox, values, words):
    with pytest.raises(ValueError, match=words):
        Found(node="decoder", pid=3, frame_id=7, size=(8, 6), objects=(proposal(bbox, **values),))
