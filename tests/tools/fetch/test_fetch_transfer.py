"""The transfer of one file: broken connections, resumption, changed files, the check of what came."""

from __future__ import annotations

import hashlib

import pytest
from weights_server import PAYLOAD, Fetch, WeightsServer, broken_off, row, weights

from stream.errors import CheckpointError
from tools.fetch import transfer
from tools.fetch.disk import FetchError


def test_what_is_fetched_is_checked_and_put_in_its_place(server: WeightsServer, fetching: Fetch) -> None:
    words = fetching(row(PAYLOAD, server.url))
    assert words.startswith("right, sha256 ")
    assert fetching.target.read_bytes() == PAYLOAD
    assert fetching.left == ["tiny.pth"]
    assert len(server.requests) == 1
    assert "100 %" in fetching.out.getvalue()


def test_what_is_there_already_is_checked_and_not_fetched_again(server: WeightsServer, fetching: Fetch) -> None:
    fetching(row(PAYLOAD, server.url))
    assert fetching(row(PAYLOAD, server.url)).startswith("there already, right")
    assert len(server.requests) == 1


def test_a_file_of_the_users_own_is_never_overwritten(server: WeightsServer, fetching: Fetch) -> None:
    fetching.folder.mkdir()
    fetching.target.write_bytes(b"mine")
    with pytest.raises(FetchError, match=r"not the published file .* move it away"):
        fetching(row(PAYLOAD, server.url))
    assert fetching.target.read_bytes() == b"mine"
    assert server.requests == []


def test_a_connection_that_breaks_is_taken_up_where_it_broke(server: WeightsServer, fetching: Fetch) -> None:
    server.break_after = 120_000
    fetching(row(PAYLOAD, server.url))
    assert fetching.target.read_bytes() == PAYLOAD
    assert server.ranges_asked() == ["", "bytes=120000-", "bytes=240000-"]
    assert fetching.waits == [1.0, 2.0]
    assert "the connection broke after 0.1 MiB of 0.3 MiB; going on in 1 s" in fetching.out.getvalue()


def test_a_connection_that_keeps_breaking_leaves_what_came_to_the_next_time(
    server: WeightsServer, fetching: Fetch
) -> None:
    server.break_after = 40_000
    with pytest.raises(FetchError, match=r"5 times in a row; 0.2 MiB are kept, the same command goes on") as caught:
        fetching(row(PAYLOAD, server.url))
    assert caught.value.exit_code == 1
    assert fetching.part.read_bytes() == PAYLOAD[:200_000]
    assert not fetching.target.exists()
    server.break_after = 0
    fetching(row(PAYLOAD, server.url))
    assert server.ranges_asked()[5:] == ["bytes=200000-"]
    assert fetching.target.read_bytes() == PAYLOAD


def test_tries_that_bring_enough_do_not_wear_out_the_patience(
    server: WeightsServer, fetching: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "WORTH_IT", 10_000)
    server.break_after = 20_000
    fetching(row(PAYLOAD, server.url))
    assert len(server.requests) == 15
    assert fetching.waits == [0.0] * 14


def test_a_server_that_falls_silent_counts_as_broken(
    server: WeightsServer, fetching: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "TIMEOUT_S", 0.2)
    server.hang_after = 100_000
    fetching(row(PAYLOAD, server.url))
    assert fetching.target.read_bytes() == PAYLOAD
    assert server.ranges_asked() == ["", "bytes=100000-"]
    assert "nothing came for 0.2 s" in fetching.out.getvalue()


def test_a_server_without_ranges_starts_from_the_beginning(server: WeightsServer, fetching: Fetch) -> None:
    broken_off(fetching, server)
    server.ranges = False
    fetching(row(PAYLOAD, server.url))
    assert fetching.target.read_bytes() == PAYLOAD
    assert "the server starts from the beginning" in fetching.out.getvalue()


@pytest.mark.parametrize("honours_if_range", [True, False])
def test_a_file_that_changed_in_between_is_fetched_anew(
    server: WeightsServer, fetching: Fetch, honours_if_range: bool
) -> None:
    broken_off(fetching, server)
    server.honours_if_range = honours_if_range
    server.payload, server.etag = weights(seed=1), '"two"'
    fetching(row(server.payload, server.url))
    assert server.requests[0][1]["if-range"] == '"one"'
    assert fetching.target.read_bytes() == server.payload


def test_a_server_that_has_no_more_to_give_means_that_all_is_here(server: WeightsServer, fetching: Fetch) -> None:
    broken_off(fetching, server)
    fetching.part.write_bytes(PAYLOAD)
    note = fetching.part.with_name("tiny.pth.part.json")
    note.write_text(note.read_text().replace("300000", "0"))  # as if the server had not told the size
    assert fetching(row(PAYLOAD, server.url)).startswith("right")
    assert server.ranges_asked() == ["bytes=300000-"]


def test_more_bytes_than_the_server_has_are_dropped(server: WeightsServer, fetching: Fetch) -> None:
    broken_off(fetching, server)
    fetching.part.write_bytes(PAYLOAD + b"more")
    note = fetching.part.with_name("tiny.pth.part.json")
    note.write_text(note.read_text().replace("300000", "0"))
    fetching(row(PAYLOAD, server.url))
    assert server.ranges_asked() == ["bytes=300004-", ""]
    assert fetching.target.read_bytes() == PAYLOAD


def test_bytes_of_unknown_origin_are_not_continued(server: WeightsServer, fetching: Fetch) -> None:
    fetching.folder.mkdir()
    fetching.part.write_bytes(b"what is this")
    fetching(row(PAYLOAD, server.url))
    assert server.ranges_asked() == [""]
    assert fetching.target.read_bytes() == PAYLOAD


def test_a_server_that_tells_no_size_serves_as_well(server: WeightsServer, fetching: Fetch) -> None:
    server.says_length = False
    server.break_after = 200_000
    fetching(row(PAYLOAD, server.url))
    assert server.ranges_asked() == ["", "bytes=200000-"]
    assert fetching.target.read_bytes() == PAYLOAD


def test_a_wrong_sum_sets_the_file_aside_and_says_both_sums(server: WeightsServer, fetching: Fetch) -> None:
    expected = row(weights(seed=1), server.url)
    with pytest.raises(FetchError) as caught:
        fetching(expected)
    words = str(caught.value)
    for sums in (expected, row(PAYLOAD)):
        assert sums.md5 in words
        assert sums.sha256 in words
    assert fetching.left == ["tiny.pth.bad"]
    assert "kept as tiny.pth.bad" in words


def test_one_sum_that_agrees_is_enough_and_the_other_is_told(server: WeightsServer, fetching: Fetch) -> None:
    words = fetching(row(PAYLOAD, server.url, md5="0" * 32))
    assert words.startswith("right, sha256 ")
    assert f"but its md5 is {hashlib.md5(PAYLOAD).hexdigest()}, not 000" in words


def test_without_a_published_sum_size_and_form_decide_and_the_sum_is_told(
    server: WeightsServer, fetching: Fetch
) -> None:
    words = fetching(row(PAYLOAD, server.url, md5="", sha256=""))
    assert "no sum is published" in words
    assert hashlib.sha256(PAYLOAD).hexdigest() in words
    server.payload = b"noise" * 60_000
    fetching.target.unlink()
    with pytest.raises(FetchError, match="no file of weights: it begins with 6e 6f 69 73 65"):
        fetching(row(PAYLOAD, server.url, md5="", sha256=""))


def test_a_file_of_another_size_is_refused_before_it_is_fetched(server: WeightsServer, fetching: Fetch) -> None:
    with pytest.raises(CheckpointError, match=r"not the published tiny.pth: 300,000 bytes instead of 400,000"):
        fetching(row(weights(400_000), server.url))
    assert fetching.left == []
