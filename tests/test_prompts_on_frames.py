"""A prompt on the frame that was seen, through tracker and decoder: its mask there, and the object followed since."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from builders import box_mask, point_prompt, texture
from decoder.disc_sam import DiscSam
from online_graph import OnlineGraph, live_config
from running import until

from nodes.capture.scene import DemoScene
from nodes.decoder.sam.sam_pt import SamPt
from stream.commands import ChooseCandidate
from stream.messages import Prompt
from stream.reports import Answer
from tools.evaluation.in_process import InProcessGraph, lossless

FAST = 9  # px a frame: 108 in the 12 frames of half a second


def iou(a, b) -> float:
    return float(np.count_nonzero((a != 0) & (b != 0)) / max(1, np.count_nonzero((a != 0) | (b != 0))))


def click(mask, object_id: int = 1) -> Prompt:
    """A click on the pixel of a true mask that is furthest from its edge."""
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)
    row, column = np.unravel_index(int(depth.argmax()), depth.shape)
    return point_prompt(object_id, [(column - 1, row - 1)])


def first_mask(rgb, prompt: Prompt, **keys) -> np.ndarray:
    """The mask of a prompt on the first frame of a finished clip, as a command line gives it."""
    graph = InProcessGraph(lossless("lite", keys))
    masks = graph.step(rgb, [prompt]) or graph.finish()
    return masks[0].label_image() == prompt.object_id


@pytest.fixture(scope="module")
def scene():
    """31 frames of the demo: pictures and label images."""
    demo = DemoScene()
    return [demo.draw(i) for i in range(31)]


@pytest.fixture(scope="module")
def small_scene():
    """27 frames of it, small."""
    demo = DemoScene((180, 320))
    return [demo.draw(i) for i in range(27)]


@pytest.fixture(scope="module")
def dash():
    """A spotted red disc that crosses three times its radius in half a second: pictures and true masks."""
    ground, spots = texture(2, (120, 360), (-60, 20, 30)), texture(1, (120, 360))
    clip = []
    for i in range(30):
        mask = np.zeros((120, 360), np.uint8)
        cv2.circle(mask, (40 + FAST * i, 60), 28, 1, -1)
        shifted = np.roll(spots, FAST * i, axis=1)
        red = np.clip(shifted * (0.3, 0.15, 0.15) + (170, 20, 20), 0, 255).astype(np.uint8)
        clip.append((np.where(mask[..., None] == 1, red, ground), mask))
    return clip


def test_a_click_on_a_frame_half_a_second_old_gives_the_mask_of_the_command_line_and_follows_each_object(scene):
    graph = OnlineGraph()
    graph.show(*(rgb for rgb, _ in scene[:30]))
    for object_id in (1, 2, 3):
        seen = 30 - 14 + object_id
        rgb, truth = scene[seen]
        prompt = click(truth == object_id, object_id)
        graph.prompt(prompt, seen)
        made = graph.seed_mask(object_id, seen)
        assert iou(made, first_mask(rgb, prompt)) == 1
        assert iou(made, truth == object_id) >= 0.75
    graph.show(scene[30][0])
    for object_id, least in ((1, 0.75), (2, 0.7), (3, 0.75)):  # a click gives 0.76 of the star to begin with
        assert iou(graph.mask(object_id), scene[30][1] == object_id) >= least
    assert {o.state for o in graph.masks[30].objects} == {"tracked"}


@pytest.mark.parametrize("keys", [{}, {"tracker__reinit": False}, {"tracker__reinit_variant": "C"}])
def test_a_prompt_acts_where_the_object_was_seen_however_far_it_has_moved_since(dash, keys):
    graph = OnlineGraph(live_config(**keys))
    graph.show(*(rgb for rgb, _ in dash[:20]))
    graph.prompt(click(dash[7][1]), 7)  # 12 frames ago; it is 108 px further now
    graph.show(dash[20][0])
    assert iou(graph.mask(1), dash[20][1]) >= 0.9
    graph.show(*(rgb for rgb, _ in dash[21:]))
    assert iou(graph.mask(1), dash[29][1]) >= 0.9


def test_the_same_click_on_the_newest_frame_would_have_hit_the_ground(dash):
    graph = OnlineGraph()
    graph.show(*(rgb for rgb, _ in dash[:20]))
    graph.prompt(click(dash[7][1]), 19)
    graph.show(dash[20][0])
    assert iou(graph.mask(1), dash[20][1]) < 0.1


def test_answers_by_whole_windows_hold_the_object_from_the_next_one_on(dash):
    graph = OnlineGraph(live_config(tracker__emit="horizon"))
    graph.show(*(rgb for rgb, _ in dash[:16]))
    newest = max(graph.masks)
    graph.prompt(click(dash[newest - 5][1]), newest - 5)
    graph.show(*(rgb for rgb, _ in dash[16:]))
    assert iou(graph.mask(1, newest + 1), dash[newest + 1][1]) >= 0.9
    assert iou(graph.mask(1), dash[max(graph.masks)][1]) >= 0.9


def test_other_objects_notice_nothing(small_scene):
    graph = OnlineGraph()
    graph.show(small_scene[0][0])
    graph.prompt(click(small_scene[0][1] == 3, 3), 0)
    graph.show(*(rgb for rgb, _ in small_scene[1:20]))
    model, points = graph.decoder.segmenter.model, graph.tracker.tracker.objects[3].point_sets
    rock, gray, frames = model.memories[3], model.previous_gray, model.frames
    before = rock.soft_mask.copy(), rock.pose.copy(), rock.age
    graph.prompt(click(small_scene[8][1] == 1, 1), 8)
    assert set(model.memories) == {1, 3}
    assert model.memories[3] is rock
    assert (model.previous_gray is gray, model.frames) == (True, frames)
    assert np.array_equal(rock.soft_mask, before[0])
    assert np.array_equal(rock.pose, before[1])
    assert rock.age == before[2]
    assert graph.tracker.tracker.objects[3].point_sets is points
    graph.show(small_scene[20][0])
    assert iou(graph.mask(3), small_scene[20][1] == 3) > 0.8


def test_more_points_on_the_frame_of_the_prompt_correct_the_mask_that_it_gave(small_scene):
    graph = OnlineGraph()
    graph.show(*(rgb for rgb, _ in small_scene[:15]))
    first = click(small_scene[8][1] == 1)
    graph.prompt(first, 8)
    given = graph.seed_mask(1, 8)
    graph.show(small_scene[15][0])
    x, y = (int(v) for v in first.xy[0])
    for points in ([(x + 12, y)], [(3, 3)]):  # what is on it already changes little, and so does what is far away
        graph.prompt(point_prompt(1, points, points != [(3, 3)], kind="refine"), 8)
        assert iou(graph.seed_mask(1, 8), given) > 0.8
    rows, columns = np.nonzero(given)
    edge = (int(columns.max()) - 4, int(rows[columns.argmax()]))
    graph.prompt(point_prompt(1, [edge], 0, kind="refine"), 8)
    assert not graph.seed_mask(1, 8)[edge[1], edge[0]]
    graph.show(small_scene[16][0])
    assert iou(graph.mask(1), small_scene[16][1] == 1) >= 0.6


def test_points_on_a_later_frame_correct_the_mask_that_was_published_there():
    ground, clip = texture(2, (120, 240), (-60, 20, 30)), []
    for i in range(16):
        rgb, x = ground.copy(), 20 + 4 * i
        rgb[40:80, x : x + 30], rgb[40:80, x + 30 : x + 60] = (210, 40, 40), (40, 60, 220)
        clip.append((rgb, box_mask((x, 40, 60, 40), (120, 240)), box_mask((x + 30, 40, 30, 40), (120, 240))))
    graph = OnlineGraph()
    graph.show(*(rgb for rgb, _, _ in clip[:8]))
    graph.prompt(Prompt(object_id=1, mask=clip[7][2]), 7)
    graph.show(*(rgb for rgb, _, _ in clip[8:15]))
    assert iou(graph.mask(1, 12), clip[12][2]) > 0.9  # its blue half
    graph.prompt(point_prompt(1, [(20 + 48 + 12, 60)], kind="refine"), 12)
    assert iou(graph.seed_mask(1, 12), clip[12][1]) > 0.9
    graph.show(clip[15][0])
    assert iou(graph.mask(1), clip[15][1]) > 0.9  # and the red one


@pytest.mark.slow
def test_candidates_are_chosen_by_steps_and_the_way_back_leads_to_the_mask_before(small_scene):
    graph = OnlineGraph()
    graph.show(*(rgb for rgb, _ in small_scene[:25]))
    graph.prompt(click(small_scene[20][1] == 1), 20)
    default = graph.seed_mask(1, 20)

    def step(by: int) -> tuple[int, int, np.ndarray]:
        [answer] = graph.command(ChooseCandidate(object_id=1, step=by, request=4))
        assert not answer.error
        return answer.result["candidate"], answer.result["candidates"], graph.seed_mask(1, 20)

    ups = [step(1) for _ in range(8)]
    indices = [index for index, _, _ in ups]
    assert ups[-1][0] == ups[-1][1] - 1  # there is an end to it
    assert indices == sorted(indices)
    areas = [int(mask.sum()) for _, _, mask in ups]
    assert areas == sorted(areas)
    assert areas[0] >= default.sum()
    graph.show(small_scene[25][0])
    assert iou(graph.mask(1), ups[-1][2]) > 0.5  # it is followed from the chosen mask
    downs = [step(-1) for _ in range(8)]
    assert downs[-1][2].sum() < ups[-1][2].sum()
    assert downs[-1][0] == 0
    assert [int(m.sum()) for _, _, m in downs] == sorted((int(m.sum()) for _, _, m in downs), reverse=True)
    assert any(np.array_equal(mask, default) for _, _, mask in [*ups, *downs])


def test_points_after_a_choice_correct_the_chosen_mask(dash):
    graph = OnlineGraph()
    graph.show(*(rgb for rgb, _ in dash[:10]))
    graph.prompt(click(dash[5][1]), 5)
    graph.command(ChooseCandidate(object_id=1, step=-1, request=4))
    chosen = graph.seed_mask(1, 5)
    ground = point_prompt(1, [(5, 5)], 0, kind="refine")
    graph.prompt(ground, 5)
    assert iou(graph.seed_mask(1, 5), chosen) > 0.6


def test_a_prompt_that_covers_nothing_is_an_object_without_a_mask():
    graph = OnlineGraph()
    graph.show(*(np.full((60, 80, 3), 100, np.uint8) for _ in range(10)))
    nothing = Prompt(object_id=1, mask=box_mask((10, 10, 2, 2)))
    graph.prompt(nothing, 5)
    graph.show(*(np.full((60, 80, 3), 100, np.uint8) for _ in range(3)))
    assert [o.object_id for o in graph.masks[12].objects] == [1]


# --- SAM: the mask is made beside the feed, and its points are caught up ---


def textured(i: int) -> np.ndarray:
    """A texture that moves 3 px a frame."""
    return texture(4, (120, 400))[:, 3 * i : 3 * i + 160]


@pytest.mark.parametrize("keys", [{}, {"decoder__budget_ms": "off"}, {"tracker__reinit": False}])
def test_a_sam_makes_the_mask_on_the_old_frame_and_the_points_bring_it_to_the_newest(keys):
    sam = DiscSam()
    graph = OnlineGraph(live_config("sam_pt", tracker__backend="lucas_kanade", **keys), SamPt(sam))
    graph.show(*(textured(i) for i in range(20)))
    graph.prompt(point_prompt(1, [(120, 60)]), 8)

    def answered() -> bool:
        graph.exchange()
        return any(s.frame_id == 8 and s.objects for s in graph.seeds)

    until(answered, "the mask of frame 8")
    made = graph.seed_mask(1, 8)
    rows, columns = np.nonzero(made)
    assert abs(columns.mean() - 120) < 3
    graph.show(*(textured(i) for i in range(20, 24)))

    def there() -> bool:
        graph.show(textured(graph.frames))
        return bool(graph.mask(1).any())

    until(there, "a mask on the newest frame")
    rows, columns = np.nonzero(graph.mask(1))
    wanted = 120 - 3 * (max(graph.masks) - 8)  # where the texture has taken it
    assert abs(columns.mean() - wanted) < 12
    assert abs(rows.mean() - 60) < 6


def test_a_choice_among_the_masks_of_a_sam_is_answered_when_it_is_made():
    graph = OnlineGraph(live_config("sam_pt", tracker__backend="lucas_kanade"), SamPt(DiscSam()))
    graph.show(*(textured(i) for i in range(10)))
    graph.prompt(point_prompt(1, [(120, 60)]), 8)
    answers = graph.command(ChooseCandidate(object_id=1, step=1, request=4))

    def answered() -> bool:
        graph.exchange()
        answers.extend(graph.decoder_node.take(Answer))
        return bool(answers)

    until(answered, "the answer")
    assert (answers[0].request, answers[0].error) == (4, "")
    assert answers[0].result["candidates"] >= 1
