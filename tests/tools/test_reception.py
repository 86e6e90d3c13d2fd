"""What a consumer counts."""

from __future__ import annotations

import msgspec
import pytest
from public_wire.ellipse_masks import STAMP, two_balls

from stream.public_wire.messages import pack_masks, pack_status
from tools.reception import RECENT, Reception

AT_NS = STAMP.captured_unix_ns


def message(sequence: int, publisher: str = "a1", camera: str = "door") -> list[bytes]:
    masks = two_balls((12, 16))
    masks = msgspec.structs.replace(masks, stamp=msgspec.structs.replace(masks.stamp, camera=camera))
    return pack_masks(masks, "packbits", STAMP.captured_ns + 20_000_000, sequence, publisher)


def test_numbers_left_out_of_the_sequence_are_gaps() -> None:
    reception = Reception()
    for sequence in (5, 6, 9, 10):
        reception.take(message(sequence), AT_NS)
    assert (reception.received, reception.gaps, reception.passed_over) == (4, 2, 12)


def test_a_restarted_publisher_is_no_gap() -> None:
    reception = Reception()
    for sequence, publisher in ((5, "a1"), (900, "b2"), (901, "b2")):
        reception.take(message(sequence, publisher), AT_NS)
    assert (reception.received, reception.gaps, reception.publishers) == (3, 0, 2)


def test_what_is_malformed_is_counted_and_dropped() -> None:
    reception = Reception()
    assert reception.take([b"masks/door", b"no JSON"], AT_NS) is None
    assert reception.take([b"\xff"], AT_NS) is None
    assert reception.take([b"status/door", b"{}"], AT_NS) is None
    assert (reception.received, reception.malformed) == (0, 3)
    assert "no status header" in reception.why_malformed


def test_a_camera_whose_name_begins_alike_is_another_one() -> None:
    reception = Reception("door")
    assert reception.take(message(1, camera="door2"), AT_NS) is None
    assert reception.take(message(1), AT_NS) is not None
    assert (reception.received, reception.malformed) == (1, 0)


def test_the_newest_status_is_kept() -> None:
    reception = Reception()
    for captured in (1, 2):
        assert reception.take(pack_status("door", {"captured": captured}), AT_NS) is None
    assert reception.status == {"captured": 2}


def test_the_rate_is_that_of_the_last_two_seconds() -> None:
    reception = Reception()
    last_ns = AT_NS + 99 * 40_000_000
    for i in range(100):
        reception.take(message(i), AT_NS + i * 40_000_000)
    assert reception.rate_hz(last_ns) == pytest.approx(25.0)
    assert reception.rate_hz(last_ns + 1_000_000_000) < 13.0
    assert reception.rate_hz(last_ns + 2_000_000_000) == 0.0


def test_one_message_is_no_rate_yet() -> None:
    reception = Reception()
    assert reception.rate_hz(AT_NS) == 0.0
    reception.take(message(1), AT_NS)
    assert reception.rate_hz(AT_NS) == 0.0


def test_the_summary_tells_ages_and_the_newest_objects() -> None:
    reception = Reception()
    for i in range(101):
        reception.take(message(i), AT_NS + i * 1_000_000)
    summary = reception.summary()
    assert summary["age_ms"] == pytest.approx({"p50": 50.0, "p95": 95.0, "p99": 99.0})
    assert summary["age_at_publish_ms"] == pytest.approx({"p50": 20.0, "p95": 20.0, "p99": 20.0})
    assert [(o["id"], o["state"]) for o in summary["objects"]] == [(1, "tracked"), (300, "uncertain"), (7, "lost")]


def test_the_summary_of_nothing_has_the_same_keys() -> None:
    reception = Reception()
    nothing = reception.summary()
    reception.take(message(1), AT_NS)
    assert nothing.keys() == reception.summary().keys()
    assert nothing["age_ms"] == {"p50": None, "p95": None, "p99": None}


def test_memory_does_not_grow_with_time() -> None:
    reception = Reception()
    parts = message(1)
    for _ in range(RECENT + 100):
        reception.take(parts, AT_NS)
    assert len(reception.ages_ms) == len(reception.ages_at_publish_ms) == RECENT
    assert len(reception.arrivals_ns) < RECENT
