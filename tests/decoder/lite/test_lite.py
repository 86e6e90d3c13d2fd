"""The classical mask model on drawn clips: it follows, loses honestly, and finds again."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from nodes.decoder.lite.backend import Lite
from nodes.decoder.lite.frame_analysis import FrameAnalysis
from nodes.decoder.lite.kernels import geodesic_distance
from nodes.decoder.lite.prompt_masks import make_first_mask
from nodes.decoder.mask_model import Query, Verdict
from nodes.decoder.segmentation import Segmenter
from stream.crops import uncrop_mask
from stream.messages import Frame, ObjectTrack, Prompt, Stamp, Tracks

SIZE = (150, 220)
SIDE = 50


def texture(seed: int, height: int, width: int, tint=(0, 0, 0)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 200, (height // 6 + 2, width // 6 + 2, 3)).astype(np.float32)
    picture = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture + np.array(tint, np.float32), 0, 255).astype(np.uint8)


SPRITE = texture(1, SIDE, SIDE, (60, -30, -30))
GROUND = texture(2, *SIZE, (-60, 20, 30))


def draw(x: float, y: float = 50.0, turn: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """The textured square with its middle at x + 25, y + 25, and its true mask."""
    c, s, half = np.cos(turn), np.sin(turn), (SIDE - 1) / 2
    pose = np.array([[c, -s, x + half - (c - s) * half], [s, c, y + half - (s + c) * half]])
    sprite = cv2.warpAffine(SPRITE, pose, SIZE[::-1], flags=cv2.INTER_LINEAR)
    mask = cv2.warpAffine(np.ones((SIDE, SIDE), np.uint8), pose, SIZE[::-1], flags=cv2.INTER_NEAREST)
    rgb = np.where(mask[..., None] == 1, sprite, GROUND)
    return rgb, mask


def tracks(i: int, rgb: np.ndarray, *prompts: Prompt, ids=(1,)) -> Tracks:
    stamp = Stamp(camera="c", session=0, frame_id=i, captured_ns=i, captured_unix_ns=i)
    none = np.zeros(0, np.float32)
    objects = tuple(
        ObjectTrack(object_id=o, xy=np.zeros((0, 2), np.float32), visibility=none, labels=none.astype(np.uint8))
        for o in ids
    )
    return Tracks(frame=Frame(stamp=stamp, rgb=rgb), objects=objects, prompts=prompts)


def run(clip, mask: np.ndarray, segmenter: Segmenter | None = None):
    """(state, IoU) of object 1 on each frame of a clip of (rgb, truth), begun with a mask."""
    segmenter = segmenter or Segmenter(Lite())
    out = []
    for i, (rgb, truth) in enumerate(clip):
        prompts = [Prompt(object_id=1, mask=mask)] if i == 0 else []
        (o,) = segmenter.step(tracks(i, rgb, *prompts))[0].objects
        out.append((o.state, iou(uncrop_mask(o.bbox, o.mask, truth.shape), truth)))
    return out


def iou(a: np.ndarray, b: np.ndarray) -> float:
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def test_a_moving_and_turning_object_is_followed():
    clip = [draw(30 + 3 * i, 50 + i, 0.03 * i) for i in range(25)]
    said = run(clip, clip[0][1])
    assert min(score for _, score in said) > 0.85
    assert {state for state, _ in said} == {"tracked"}


def test_the_same_clip_gives_the_same_masks_bit_for_bit():
    clip = [draw(30 + 3 * i) for i in range(8)]

    def masks() -> list[bytes]:
        segmenter = Segmenter(Lite())
        prompt = Prompt(object_id=1, box=(30, 50, 79, 99))
        out = [
            segmenter.step(tracks(i, rgb, *([prompt] if i == 0 else [])))[0].objects[0]
            for i, (rgb, _) in enumerate(clip)
        ]
        return [o.mask.tobytes() + str((o.bbox, o.score)).encode() for o in out]

    assert masks() == masks()


def test_an_object_that_leaves_is_lost_with_an_empty_mask_and_reacquired_when_it_is_back():
    away = [(GROUND, np.zeros(SIZE, np.uint8))] * 14
    clip = [draw(130 + 8 * i) for i in range(12)] + away + [draw(224 - 8 * i, 40) for i in range(14)]
    said = run(clip, clip[0][1])
    names = [state for state, _ in said]
    assert "lost" in names[12:26]
    assert all(score == 1 for _, score in said[14:26])  # empty, as the truth is
    back = names.index("reacquired")
    assert 26 <= back <= 36
    assert min(score for _, score in said[back:]) > 0.8


def test_an_object_that_another_one_hides_is_found_when_it_comes_out():
    wall = texture(5, SIZE[0], 80, (0, 60, -60))

    def hidden(i: int) -> tuple[np.ndarray, np.ndarray]:
        rgb, mask = draw(10 + 4 * i)
        rgb[:, 80:160], mask[:, 80:160] = wall, 0
        return rgb, mask

    clip = [hidden(i) for i in range(48)]
    segmenter, names, scores = Segmenter(Lite()), [], []
    block = np.zeros(SIZE, np.uint8)
    block[:, 80:160] = 1
    for i, (rgb, truth) in enumerate(clip):
        prompts = [Prompt(object_id=1, mask=truth), Prompt(object_id=2, mask=block)] if i == 0 else []
        one, two = segmenter.step(tracks(i, rgb, *prompts, ids=(1, 2)))[0].objects
        names.append(one.state)
        scores.append(iou(uncrop_mask(one.bbox, one.mask, SIZE), truth))
        assert not (uncrop_mask(one.bbox, one.mask, SIZE) & uncrop_mask(two.bbox, two.mask, SIZE)).any()
    assert names.index("reacquired") < 44
    assert scores[-1] > 0.7


def held(thing, seen=None) -> int:
    """Bytes of all arrays in an object, wherever they hang."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return 0
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        return thing.nbytes if thing.base is None else held(thing.base, seen)
    return sum(held(value, seen) for value in vars(thing).values()) if hasattr(thing, "__dict__") else 0


def test_memory_of_an_object_does_not_grow():
    lite = Lite()
    clip = [draw(40 + 10 * np.sin(i / 5)) for i in range(40)]
    run(clip[:5], clip[0][1], Segmenter(lite))
    size = held(lite.memories[1])
    assert size < 40e6
    run(clip, clip[0][1], Segmenter(lite))
    assert held(lite.memories[1]) == pytest.approx(size, rel=0.02)  # a look is as large as its object
    assert list(lite.memories) == [1]


def test_memory_of_an_object_that_fills_the_largest_frames_is_bounded_too():
    size, lite = (2160, 3840), Lite()
    rgb, mask = speckled(size), np.zeros(size, np.uint8)
    mask[10:-10, 10:-10] = 1
    segmenter = Segmenter(lite)
    for i in range(3):
        segmenter.step(tracks(i, rgb, *([Prompt(object_id=1, mask=mask)] if i == 0 else [])))
    assert held(lite.memories[1]) + held(segmenter.objects[1]) < 40e6


def test_a_change_of_the_frame_size_in_mid_stream_keeps_the_object():
    segmenter = Segmenter(Lite())
    clip = [draw(30 + 3 * i) for i in range(12)]
    run(clip[:6], clip[0][1], segmenter)
    scores = []
    for i, (rgb, truth) in enumerate(clip[6:], start=6):
        large = cv2.resize(rgb, (330, 225), interpolation=cv2.INTER_LINEAR)
        wanted = cv2.resize(truth, (330, 225), interpolation=cv2.INTER_NEAREST)
        (o,) = segmenter.step(tracks(i, large))[0].objects
        scores.append(iou(uncrop_mask(o.bbox, o.mask, (225, 330)), wanted))
    assert min(scores) > 0.75


def test_a_click_corrects_a_mask_that_missed_a_part():
    rgb, truth = draw(60)
    half = truth.copy()
    half[:, 85:] = 0
    segmenter = Segmenter(Lite())
    segmenter.step(tracks(0, rgb, Prompt(object_id=1, mask=half)))
    click = Prompt(object_id=1, kind="refine", xy=np.array([[98, 75]], np.float32), labels=np.ones(1, np.uint8))
    (o,) = segmenter.step(tracks(1, rgb, click))[0].objects
    assert iou(uncrop_mask(o.bbox, o.mask, SIZE), truth) > iou(half, truth) + 0.1


POINTS = Prompt(
    object_id=1,
    xy=np.array([[85, 75], [70, 60], [100, 60], [70, 90], [100, 90], [20, 20]], np.float32),
    labels=np.array([1, 1, 1, 1, 1, 0], np.uint8),
)


@pytest.mark.parametrize(
    ("prompt", "least"),
    [
        (POINTS, 0.8),
        (Prompt(object_id=1, box=(60, 50, 109, 99)), 0.8),
        (Prompt(object_id=1, mask=draw(60)[1]), 1.0),
        (Prompt(object_id=1, xy=POINTS.xy, labels=POINTS.labels, box=(60, 50, 109, 99)), 0.8),
    ],
)
def test_every_kind_of_prompt_makes_a_first_mask(prompt, least):
    rgb, truth = draw(60)
    assert iou(make_first_mask(rgb, prompt), truth) >= least


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(object_id=1, box=(0, 0, 219, 149)),
        Prompt(object_id=1, box=(-40, -40, 500, 500)),
        Prompt(object_id=1, box=(100, 100, 101, 101)),
        Prompt(object_id=1, xy=np.array([[0, 0]], np.float32), labels=np.ones(1, np.uint8)),
        Prompt(object_id=1, xy=np.array([[219, 149]], np.float32), labels=np.ones(1, np.uint8)),
        Prompt(object_id=1, xy=np.array([[9, 9]], np.float32), labels=np.zeros(1, np.uint8)),
        Prompt(object_id=1, xy=np.array([[900, 900]], np.float32), labels=np.ones(1, np.uint8)),
        Prompt(object_id=1),
        Prompt(object_id=1, mask=np.zeros(SIZE, np.uint8)),
        Prompt(object_id=1, mask=np.ones(SIZE, np.uint8)),
    ],
)
@pytest.mark.parametrize("plain", [False, True])
def test_odd_prompts_are_answered_and_the_next_frames_too(prompt, plain):
    rgb = np.full((*SIZE, 3), 90, np.uint8) if plain else GROUND
    mask = make_first_mask(rgb, prompt)
    assert mask.shape == SIZE
    assert set(np.unique(mask)) <= {0, 1}
    segmenter = Segmenter(Lite())
    for i in range(4):
        segmenter.step(tracks(i, rgb, *([prompt] if i == 0 else [])))


def test_geodesic_distance_grows_with_the_way_and_with_the_edges_on_it():
    lab = np.zeros((20, 30, 3), np.float32)
    lab[:, 15:] = 50
    seeds = np.zeros((20, 30), bool)
    seeds[10, 5] = True
    far = geodesic_distance(lab, seeds)
    assert far[10, 5] == 0
    assert far[10, 14] == pytest.approx(27)
    assert far[10, 15] == pytest.approx(30 + 150)


def test_the_smallest_frames_are_no_trouble():
    rgb = texture(3, 64, 64)
    mask = np.zeros((64, 64), np.uint8)
    mask[20:40, 20:40] = 1
    rgb[mask == 1] //= 3
    said = run([(rgb, mask)] * 4, mask)
    assert said[-1][1] > 0.8


def speckled(size: tuple[int, int]) -> np.ndarray:
    small = np.random.default_rng(4).integers(0, 255, (size[0] // 8 + 1, size[1] // 8 + 1, 3)).astype(np.uint8)
    return cv2.resize(small, size[::-1], interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize("size", [(64, 64), (65, 640), (854, 480), (481, 853), (2160, 3840)])
def test_a_box_of_any_frame_is_followed(size):
    rgb = speckled(size)
    high, wide = size[0] // 3, size[1] // 3
    said = []
    for t in range(4):
        y, x = size[0] // 4 + t, size[1] // 4 + 2 * t
        frame, mask = rgb.copy(), np.zeros(size, np.uint8)
        frame[y : y + high, x : x + wide] = 255 - rgb[:high, :wide]
        mask[y : y + high, x : x + wide] = 1
        said.append((frame, mask))
    assert min(score for _, score in run(said, said[0][1])) > 0.8


WHOLE, DOT, NOTHING_THERE = np.ones(SIZE, np.uint8), np.zeros(SIZE, np.uint8), np.zeros(SIZE, np.uint8)
DOT[70, 90] = 1


@pytest.mark.parametrize("mask", [WHOLE, DOT, NOTHING_THERE, draw(60)[1]])
@pytest.mark.parametrize("rgb", [GROUND, np.full((*SIZE, 3), 128, np.uint8), np.zeros((*SIZE, 3), np.uint8)])
def test_odd_objects_on_odd_pictures_have_finite_answers(mask, rgb):
    lite = Lite()
    for t in range(4):
        picture = lite.encode(np.roll(rgb, t, axis=1))
        query = Query(tracks(t, rgb).objects[0], Prompt(object_id=1, mask=mask) if t == 0 else None)
        (answer,) = lite.decode(picture, [query])
        assert np.isfinite(answer.logits).all()
        assert 0 <= answer.score <= 1
        x, y, width, height = answer.window
        shown = np.zeros(SIZE, np.uint8)
        shown[y : y + height, x : x + width] = answer.logits > 0
        lite.learn(picture, {1: Verdict(shown, True, False)})


def test_twenty_objects_are_followed_at_once_and_share_no_pixel():
    size, side, ids = (240, 330), 36, range(1, 21)
    ground = speckled(size)

    def frame(t: int) -> tuple[np.ndarray, list[np.ndarray]]:
        rgb, masks = ground.copy(), []
        for i in range(20):
            y, x = 12 + 56 * (i // 5), 8 + 62 * (i % 5) + 2 * t
            mask = np.zeros(size, np.uint8)
            mask[y : y + side, x : x + side] = 1
            rgb[mask == 1] = texture(100 + i, side, side, (60, -60, 10 * i - 90)).reshape(-1, 3)
            masks.append(mask)
        return rgb, masks

    segmenter = Segmenter(Lite())
    for t in range(5):
        rgb, masks = frame(t)
        prompts = [Prompt(object_id=i, mask=m) for i, m in zip(ids, masks, strict=True)] if t == 0 else []
        said = segmenter.step(tracks(t, rgb, *prompts, ids=ids))[0].objects
        shown = [uncrop_mask(o.bbox, o.mask, size) for o in said]
        assert np.sum(shown, axis=0).max() == 1
    assert min(iou(a, b) for a, b in zip(shown, masks, strict=True)) > 0.7


def test_a_prompt_in_motion_is_answered_better_with_the_frame_before():
    clip = [draw(60 + 6 * t) for t in range(2)]
    prompt = Prompt(object_id=1, box=(60, 44, 122, 106))  # drawn loosely
    previous = FrameAnalysis(clip[0][0], None)
    alone = make_first_mask(clip[1][0], prompt)
    moving = make_first_mask(clip[1][0], prompt, None, FrameAnalysis(clip[1][0], previous.gray))
    assert iou(moving, clip[1][1]) >= iou(alone, clip[1][1]) - 0.02
    assert iou(moving, clip[1][1]) > 0.7
