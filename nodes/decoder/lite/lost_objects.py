"""Search for an object that is out of sight: its memory and a frame in, a mask estimate out where it was found.

Where it comes out as it went in, a part of it is in sight before a search can find it (emergence.py).

One search a call, on odd ones near the place where the object should be (where nobody knows it: in the whole frame), on
even ones in the whole frame at one of several guessed rotations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import cv2
import numpy as np

from nodes.decoder.lite import emergence, fusion, poses, returns, template
from nodes.decoder.lite.cues import Cues
from nodes.decoder.lite.emergence import Emergence, Rivals
from nodes.decoder.lite.following import MaskEstimate
from nodes.decoder.lite.frame_analysis import clip_window
from nodes.decoder.lite.object_memory import ObjectMemory
from nodes.decoder.lite.view import make_view, pad_window, shrink_mask
from nodes.decoder.mask_model import Logits, Window
from stream import geometry
from stream.arrays import Array
from stream.geometry import Size

ROTATIONS = 15  # guesses of a lost object's rotation, 24 degrees apart: alignment corrects half of that
OWNED_LOGIT = 4.0  # of another object's pixels
PARTS = 4  # lost objects of which a part is looked for on a frame: 1 to 3 ms each
REACH_PX = 2  # a frame out of sight, around the place where the object should be,
REACH_FRAMES = 30  # for so many frames


def search_lost(rgb: Array, countable: Array, memory: ObjectMemory, working_px: int) -> MaskEstimate | None:
    """The object where it was found, its pose moved there; None where it was not.

    `countable` (H, W) uint8 is 0 where another object's mask is in front.
    """
    size = (rgb.shape[0], rgb.shape[1])
    angle, region = _plan_search(memory, size)
    match = template.search(rgb, countable, memory.template, angle, region)
    if match is None:
        return None
    mask = template.draw_mask(memory.template, match.pose, size) * countable
    if not mask.any() or returns.is_other_thing(match, memory.sighting, rgb, mask, memory.template):
        return None
    missed_px = float(np.linalg.norm(memory.place.middle(match.pose) - memory.middle))
    expected = not memory.recalled and returns.is_expected(missed_px, memory.template, memory.absent_frames)
    memory.move_to(match.pose)
    memory.find_again(returns.doubt_of(match, memory.sighting, memory.absent_frames, expected))
    view = make_view(rgb, pad_window(cv2.boundingRect(mask), size), working_px)
    cues = Cues(view)
    cues.add_carried_mask(shrink_mask(mask, view))
    cues.add_object_colours(memory.cell_colours, memory.overall_colours, *memory.canonical_xy(view))
    cues.finish()
    # the network was fitted to objects that were in sight on the last frame; this one has no flow and no last mask
    return MaskEstimate.from_cues(view, cues, fusion.fuse_by_hand(cues))


def look_again(rgb: Array, memory: ObjectMemory) -> bool:
    """Compare a doubted return with the template where it is now; False where it does not look like it any more."""
    everywhere = np.ones(rgb.shape[:2], np.uint8)
    moved = geometry.compose(memory.pose, geometry.inverse(memory.template.pose))
    match = template.align(rgb, everywhere, memory.template, moved, rounds=1)
    if match is not None:
        memory.doubt = returns.doubt_of(match, memory.sighting, memory.absence)
    return match is not None


def find_parts(
    rgb: Array,
    absent: Mapping[int, ObjectMemory],
    present: Sequence[tuple[ObjectMemory, Logits | None]],
    frame: int,
) -> dict[int, Logits]:
    """What is in sight of lost objects that come out where they went in, by object; `frame` counts the frames.

    Those that went long ago have no place where they should be. PARTS of the others are looked at on a frame, those
    that come out first; the same ones, however often it is asked.

    `present`: objects in sight, with their answers; without one an object is carried to this frame.
    """
    recent: list[ObjectMemory] = []
    for memory in absent.values():
        if memory.recalled or memory.absent_frames > returns.LONG_ABSENCE:
            memory.emergence = Emergence()
        else:
            recent.append(memory)
    if recent and all(m.emergence.frame != frame for m in recent):
        rivals = _rivals_of(present, (rgb.shape[0], rgb.shape[1]))
        # in turn, so that each is looked at: those whose last look is longest ago
        recent.sort(key=lambda m: (not m.emergence.boxes, m.emergence.frame))
        for memory in recent[:PARTS]:
            region = _expected_region(memory, (rgb.shape[0], rgb.shape[1]))
            memory.emergence.answer = emergence.find_part(rgb, rivals, memory, region)
            memory.emergence.frame = frame
    return {
        i: m.emergence.answer
        for i, m in absent.items()
        if m.emergence.frame == frame and m.emergence.answer is not None
    }


def _rivals_of(present: Sequence[tuple[ObjectMemory, Logits | None]], size: Size) -> Rivals:
    sure, unsure = covered_by([answer for _, answer in present if answer is not None], size), []
    for memory, answer in present:
        if answer is None:
            sure |= memory.draw_mask(size)
        else:
            unsure.append((memory, answer.window, (answer.logits > 0) & (answer.logits <= OWNED_LOGIT)))
    return Rivals(sure, unsure)


def covered_by(answers: Iterable[Logits], size: Size) -> Array:
    """(H, W) uint8: 1 where an object surely is; what it holds less surely may be another that comes out behind it."""
    covered = np.zeros(size, np.uint8)
    for answer in answers:
        x, y, width, height = answer.window
        covered[y : y + height, x : x + width] |= (answer.logits > OWNED_LOGIT).view(np.uint8)
    return covered


def _plan_search(memory: ObjectMemory, size: Size) -> tuple[float, Window]:
    """The rotation since the template, radians, and the region of the frame (H, W) to search next."""
    angle = poses.angle_of(memory.pose) - poses.angle_of(memory.template.pose)
    searches = memory.count_search()
    frame = (0, 0, size[1], size[0])
    if searches % 2 == 0:  # the rotation may not be as expected, either: try others in order, near ones first
        guess = searches // 2 % ROTATIONS
        return angle + (guess + 1) // 2 * (2 * np.pi / ROTATIONS) * (1 if guess % 2 else -1), frame
    if memory.recalled:
        return angle, frame
    return angle, _expected_region(memory, size)


def _expected_region(memory: ObjectMemory, size: Size) -> Window:
    """Where the object may be by now, from where it was last seen."""
    middle = memory.middle.clip((0, 0), (size[1], size[0]))
    reach = memory.template.side + REACH_PX * min(memory.absent_frames, REACH_FRAMES)
    x, y = np.rint(middle).astype(int) - reach
    return clip_window((int(x), int(y), 2 * reach, 2 * reach), size)
