"""Malformed messages for every parser that bytes off a socket reach: `PYTHONPATH=.:tests python tests/fuzz/fuzzer.py`.

Each message is taken or refused in the way that is meant for it; anything else is a death, and its number and seed are
printed, which make it again. (The JPEG library writes its warnings to stderr.)
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from builders import frame, masks, object_mask, point_prompt, prompted_tracks, seeds, stamp
from supervision_fakes import SIZE, SessionUnderTest, health, opened

from stream.commands import GivePrompt, PublishStatus, Start
from stream.errors import MessageError
from stream.messages import Scene, Upload
from stream.public_wire.messages import (
    pack_frame,
    pack_masks,
    pack_scene,
    pack_status,
    unpack_frame,
    unpack_masks,
    unpack_scene,
    unpack_status,
)
from stream.reports import Hello
from stream.supervision.actions import SendReply
from stream.topology import TOPICS, Delivery
from stream.transport.credit import ReaderCredit, WriterCredit
from stream.transport.wire import from_parts, to_parts

Parts = list[bytes]

ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 1 << 31, 1 << 63, -(1 << 63), 1 << 70, 0.5, 1e308, "", "x", "x" * 1000, "\0", "\ud800",
    [], [[]], [1, 2, 3], [0, 0, "uint8", 1 << 20, 1 << 20], [0, 8, "float32", 2], {}, {"a": 1},
]  # fmt: skip


@dataclass
class Receiver:
    """A parser: valid messages for it, and what takes one; MessageError is the refusal."""

    name: str
    seeds: list[Parts]
    take: Callable[[Parts], None]


def receivers() -> list[Receiver]:
    """All of them."""
    rgb = frame(1)
    mask = masks(1, object_mask(), object_mask(2, (10, 10, 5, 5)))
    examples: dict[str, list[Any]] = {
        "uploads": [Upload(page=1, jpeg=rgb.rgb[0].ravel(), arrived_ns=1, arrived_unix_ns=2)],
        "frames": [rgb],
        "tracks": [prompted_tracks(3)],
        "scenes": [Scene(frame=rgb, masks=mask)],
        "masks": [mask],
        "seeds": [seeds(3, 1, 2)],
        "commands": [Start(restarts=1), GivePrompt(prompt=point_prompt()), PublishStatus(status="{}")],
        "reports": [health(), opened(), Hello(node="tracker", pid=1, incarnation=bytes(8))],
    }
    found = [
        Receiver(f"topic {topic}", [_bytes(to_parts(m)) for m in messages], _topic_reader(topic))
        for topic, messages in examples.items()
    ]
    found.append(Receiver("requests for messages", [[ReaderCredit().request(3)]], _take_credit))
    found.append(Receiver("stamps of messages", [[bytes(12)]], _take_stamp))
    found.append(_control())
    found += [
        Receiver(
            "public masks", [pack_masks(mask, c, 1, 2, "a") for c in ("packbits", "coco_rle", "png")], unpack_masks
        ),
        Receiver("public scenes", [pack_scene(Scene(frame=rgb, masks=mask), "packbits", 80, 1, 2, "a")], unpack_scene),
        Receiver("public frames", [pack_frame(stamp(), rgb.rgb, 80)], unpack_frame),
        Receiver("public status", [pack_status("camera", {"phase": "running"})], unpack_status),
    ]
    return found


def _bytes(parts: Sequence[Any]) -> Parts:
    return [bytes(p) for p in parts]


def _topic_reader(topic: str) -> Callable[[Parts], None]:
    kinds = TOPICS[topic].kinds
    return lambda parts: from_parts(parts, *kinds) and None


def _take_credit(parts: Parts) -> None:
    WriterCredit[str](b"12345678", Delivery.EVERY, 8).requested(b"".join(parts))


def _take_stamp(parts: Parts) -> None:
    ReaderCredit().came(b"".join(parts))


def _control() -> Receiver:
    """The control socket: exactly one reply for each request, and what is none is counted."""
    run = SessionUnderTest(control__max_objects=4)
    run.session.registry.resize(SIZE)
    run.session.on_hello("tracker", 0.0)
    whole = {"bbox": [0, 0, 8, 8], "packbits": "//////////8="}
    requests = [
        ("add_object", {"points": [[5, 5, 1]], "box": [1, 1, 9, 9], "mask": whole}),
        ("refine_object", {"object_id": 1, "points": [[5, 5, 0]]}),
        ("remove_object", {"object_id": 1}),
        ("rename_object", {"object_id": 1, "label": "cat"}),
        ("undo_point", {"object_id": 1}),
        ("record", {"on": True}),
        ("find_objects", {"count": 3}),
        ("list_cameras", {}),
        ("list_objects", {}),
        ("snapshot", {}),
        ("pause", {}),
        ("stats", {}),
    ]
    clock = iter(range(1 << 60))

    def take(parts: Parts) -> None:
        malformed, now_s = run.handler.malformed, float(next(clock))
        actions = run.serve(parts, now_s)
        run.requests.on_tick(now_s + 100)
        actions += run.outbox.take()
        bodies = [json.loads(a.body) for a in actions if isinstance(a, SendReply)]
        assert len(bodies) == 1, bodies
        assert bodies[0].get("error", {}).get("code") != "internal", bodies
        if run.handler.malformed > malformed:
            raise MessageError(str(bodies[0]))

    bodies = [json.dumps({"id": 1, "method": method, "params": params}).encode() for method, params in requests]
    return Receiver("control", [[body] for body in bodies], take)


# --- how a message is spoiled ---


def spoil(parts: Parts, rng: random.Random) -> Parts:
    """Another message: random, or a valid one with one or more faults."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        parts = rng.choice(WAYS)(list(parts), rng)
    return parts


def _random(parts: Parts, rng: random.Random) -> Parts:
    return [rng.randbytes(rng.randrange(200)) for _ in range(rng.randrange(6))]


def _truncated(parts: Parts, rng: random.Random) -> Parts:
    if parts:
        i = rng.randrange(len(parts))
        parts[i] = parts[i][: rng.randrange(len(parts[i]) + 1)]
    return parts


def _flipped(parts: Parts, rng: random.Random) -> Parts:
    if parts and parts[i := rng.randrange(len(parts))]:
        body = bytearray(parts[i])
        for _ in range(rng.randrange(1, 6)):
            body[rng.randrange(len(body))] = rng.randrange(256)
        parts[i] = bytes(body)
    return parts


def _other_parts(parts: Parts, rng: random.Random) -> Parts:
    way = rng.randrange(4)
    if way == 0 and parts:
        parts.pop(rng.randrange(len(parts)))
    elif way == 1:
        parts.insert(rng.randrange(len(parts) + 1), rng.randbytes(rng.randrange(50)))
    elif way == 2:
        parts *= 2
    else:
        rng.shuffle(parts)
    return parts


def _type_confused(parts: Parts, rng: random.Random) -> Parts:
    """A value of the JSON is another one."""
    for i, part in enumerate(parts):
        at = part.find(b"{")
        if at < 0:
            continue
        try:
            value, end = json.JSONDecoder().raw_decode(part[at:].decode("latin-1"))
        except (ValueError, RecursionError):
            continue
        text = json.dumps(_confuse(value, rng)).encode()
        head = (len(part[4:at]) + len(text)).to_bytes(4, "big") + part[4:at] if at >= 4 else part[:at]
        parts[i] = head + text + part[at + end :]
        break
    return parts


def _confuse(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        way = rng.random()
        if way < 0.1:
            return {k: v for k, v in value.items() if k != key}
        return {**value, ("y" if way < 0.2 else key): _confuse(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.7:
        i = rng.randrange(len(value))
        return [*value[:i], _confuse(value[i], rng), *value[i + 1 :]]
    return rng.choice(ODD_VALUES)


def _deep(parts: Parts, rng: random.Random) -> Parts:
    opening = rng.choice((b"[", b'{"a":', b'{"id":1,"params":[')) * rng.choice((10, 1000, 20_000))
    return [len(opening).to_bytes(4, "big") + b"tracks/1 " + opening if rng.random() < 0.5 else opening]


def _huge(parts: Parts, rng: random.Random) -> Parts:
    way = rng.randrange(3)
    if way == 0:
        return [*parts, bytes(rng.choice((1 << 16, 1 << 20)))]
    if way == 1:
        return [b"x"] * 5000
    return [b'{"id": ' + b"9" * rng.choice((30, 5000)) + b"}"]


WAYS: tuple[Callable[[Parts, random.Random], Parts], ...] = (
    _random,
    _truncated,
    _flipped,
    _other_parts,
    _type_confused,
    _type_confused,
    _type_confused,
    _deep,
    _huge,
)


# --- the run ---


@dataclass
class Outcome:
    """How many were taken and refused by each receiver, and how memory grew after the first tenth."""

    taken: Counter[str]
    refused: Counter[str]
    grown_mb: float


def run(count: int, seed: int) -> Outcome:
    """Feed `count` messages; whatever is neither taken nor refused is raised."""
    parsers, taken, refused = receivers(), Counter[str](), Counter[str]()
    warm_mb = 0.0
    for i in range(count):
        if i == count // 10:
            warm_mb = peak_mb()
        rng = random.Random(f"{seed} {i}")
        receiver = parsers[i % len(parsers)]
        parts = spoil(rng.choice(receiver.seeds), rng)
        try:
            receiver.take(parts)
        except MessageError:
            refused[receiver.name] += 1
        except BaseException:
            print(f"message {i} of seed {seed}, {receiver.name}: {[p[:200] for p in parts[:5]]}")
            raise
        else:
            taken[receiver.name] += 1
    return Outcome(taken, refused, peak_mb() - warm_mb)


def peak_mb() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Feed malformed messages to every parser.")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    began_s = time.monotonic()
    outcome = run(arguments.count, arguments.seed)
    for name in outcome.refused | outcome.taken:
        print(f"{name}: {outcome.refused[name]} refused, {outcome.taken[name]} taken")
    print(f"{arguments.count} messages in {time.monotonic() - began_s:.0f} s, memory grew by {outcome.grown_mb:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
