"""Prompts as the command line gives them: text in, Prompts out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stream.arrays import Array
from stream.errors import PromptError
from stream.messages import MAX_OBJECT_ID, Prompt


def parse_prompts(points: Sequence[str], boxes: Sequence[str], masks: Mapping[int, Array]) -> list[Prompt]:
    """The prompts of --point, --box and --mask, one an object, ids ascending; PromptError says what is wrong.

    `masks` is object id -> (H, W) uint8 mask of 0 and 1.
    An option without an ID: a point belongs to the first object, each box is an object of its own.
    """
    xy: dict[int, list[tuple[float, float, int]]] = {}
    box: dict[int, tuple[float, float, float, float]] = {}
    for text in points:
        object_id, numbers = _numbers("--point", text, "[ID:]x,y[,0|1]", (2, 3))
        label = numbers[2] if len(numbers) == 3 else 1.0
        if label not in (0, 1):
            raise PromptError(f"--point {text}: the label is {numbers[2]:g}; needs 1 (on the object) or 0 (off it)")
        xy.setdefault(object_id or 1, []).append((numbers[0], numbers[1], int(label)))
    for text in boxes:
        object_id, numbers = _numbers("--box", text, "[ID:]x1,y1,x2,y2", (4,))
        x1, y1, x2, y2 = numbers
        if not (x1 < x2 and y1 < y2):
            raise PromptError(f"--box {text}: inverted or empty; needs x1 < x2 and y1 < y2")
        object_id = object_id or max([0, *box, *(xy if box else ())]) + 1
        if object_id in box:
            raise PromptError(f"--box {text}: object {object_id} has a box already")
        box[object_id] = (x1, y1, x2, y2)
    prompts = []
    for object_id in sorted({*xy, *box, *masks}):
        p = xy.get(object_id)
        prompts.append(
            Prompt(
                object_id=object_id,
                xy=np.array([q[:2] for q in p], np.float32) if p else None,
                labels=np.array([q[2] for q in p], np.uint8) if p else None,
                box=box.get(object_id),
                mask=masks.get(object_id),
            )
        )
    return prompts


def _numbers(option: str, text: str, form: str, counts: tuple[int, ...]) -> tuple[int, list[float]]:
    """(object id or 0, numbers) of "ID:a,b,..."."""
    head, colon, tail = text.rpartition(":")
    try:
        object_id = int(head) if colon else 0
        numbers = [float(n) for n in tail.split(",")]
    except ValueError:
        raise PromptError(f"{option} {text}: needs {form}, for example {_EXAMPLE[option]}") from None
    if len(numbers) not in counts or not np.isfinite(numbers).all():
        raise PromptError(f"{option} {text}: needs {form}, for example {_EXAMPLE[option]}")
    if colon and not 1 <= object_id <= MAX_OBJECT_ID:
        raise PromptError(f"{option} {text}: object id {object_id}; needs 1 to {MAX_OBJECT_ID}")
    return object_id, numbers


_EXAMPLE = {"--point": "--point 1:320,180", "--box": "--box 1:100,80,220,200"}
