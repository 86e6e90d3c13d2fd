"""tools/golden.py: golden numbers are compared, whatever their clip and seed, and what is beyond tolerance is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from weights.simulated_gpu import simulated_gpu  # noqa: E402

from nodes.tracker.pips.correlation import build_pyramids, correlate, look_up  # noqa: E402
from nodes.tracker.pips.network import embed  # noqa: E402
from nodes.tracker.sampling.medoids import kmedoids  # noqa: E402
from stream.errors import ConfigError  # noqa: E402
from tools import golden as tool  # noqa: E402
from tools.goldens import folder_weights  # noqa: E402
from tools.goldens.comparisons import COMPARISONS, comparison  # noqa: E402
from tools.goldens.folder_weights import Weights  # noqa: E402
from tools.goldens.rows import Row, differing, farthest, relative  # noqa: E402
from tools.goldens.weights import pips_weights  # noqa: E402

HERE = ("pips_functions*.npz", "pips_random*.npz", "pips_window_*.npz", "tracker_*.npz")  # others: beside their subject


@pytest.fixture(scope="module")
def weights(golden: Path) -> Weights:
    return Weights(golden)


@pytest.mark.parametrize("pattern", HERE)
def test_our_answers_are_the_golden_ones(golden: Path, weights: Weights, pattern: str):
    files = sorted(golden.glob(pattern))
    assert files
    for file in files:
        rows = comparison(file.name)(file, golden, weights)
        assert rows
        assert [row for row in rows if not row.ok] == []


def test_every_comparison_that_is_registered_exists():
    assert all(callable(comparison(pattern.replace("*", "x"))) for pattern in COMPARISONS)
    assert comparison("holiday.npz") is None


# --- the tool, on golden numbers of our own ---------------------------------------------------------------------------


def functions() -> dict[str, np.ndarray]:
    """What a pips_functions file holds, by our own functions."""
    draw = torch.Generator().manual_seed(5)
    flow, image = torch.rand(2, 8, 3, generator=draw), torch.randn(8, 20, 24, generator=draw)
    maps, targets = torch.randn(8, 16, 20, 24, generator=draw), torch.randn(8, 3, 16, generator=draw)
    xy, coords = torch.rand(7, 2, generator=draw) * 30 - 4, torch.rand(8, 3, 2, generator=draw) * 30 - 4
    arrays = {
        "emb_in": flow,
        "emb_out": embed(flow),
        "lookup_map": image,
        "lookup_xy": xy,
        "lookup_out": look_up(build_pyramids(image[None])[0], xy),
        "corr_fmaps": maps,
        "corr_targets": targets,
        "corr_coords": coords,
        "corr_out": correlate(build_pyramids(maps), targets, coords),
    }
    return {name: value.numpy() for name, value in arrays.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.savez(tmp_path / "pips_functions_of_ours.npz", **functions())
    return tmp_path


def test_a_folder_within_tolerance_is_a_table_and_0(folder: Path, capsys):
    (folder / "holiday.npz").write_bytes(b"")
    (folder / "clip_sea_3x4x5.npz").write_bytes(b"")
    assert tool.main([str(folder)]) == 0
    output = capsys.readouterr().out
    assert all(name in output for name in ("pips_functions_of_ours.npz", "emb_out", "lookup_out", "corr_out", "0.0001"))
    assert "3 of 3 quantities" in output
    assert "not compared: holiday.npz\n" in output


def test_a_number_beyond_its_tolerance_is_named_and_1(folder: Path, capsys):
    wrong = functions()
    wrong["lookup_out"][3, 2] += 2e-4
    np.savez(folder / "pips_functions_wrong.npz", **wrong)
    assert tool.main([str(folder)]) == 1
    output = capsys.readouterr().out
    assert "5 of 6 quantities" in output
    assert "beyond: pips_functions_wrong.npz lookup_out: 0.0002 (0.0001)" in output
    assert tool.main([str(folder), "--skip", "*wrong*"]) == 0
    assert tool.main([str(folder), "--only", "*wrong*"]) == 1


def test_a_folder_without_golden_numbers_is_2_and_says_what_was_looked_for(tmp_path: Path, capsys):
    (tmp_path / "holiday.jpg").write_bytes(b"")
    assert tool.main([str(tmp_path)]) == 2
    output = capsys.readouterr().err
    assert "no golden file" in output
    assert all(pattern in output for pattern in HERE)
    assert tool.main([str(tmp_path / "nowhere")]) == 2
    assert "no folder" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"<html>"])
def test_a_broken_file_is_2_and_the_others_are_compared_all_the_same(folder: Path, capsys, content: bytes):
    (folder / "pips_functions_a.npz").write_bytes(content)
    assert tool.main([str(folder)]) == 2
    output = capsys.readouterr()
    assert "3 of 3 quantities" in output.out
    assert "pips_functions_a.npz is no .npz file" in output.err
    assert "Traceback" not in output.err


def test_a_file_that_lacks_an_array_is_2_and_names_it(folder: Path, capsys):
    arrays = functions()
    del arrays["corr_coords"]
    np.savez(folder / "pips_functions_a.npz", **arrays)
    assert tool.main([str(folder)]) == 2
    assert "has no array 'corr_coords'" in capsys.readouterr().err


def test_a_device_that_is_not_there_is_2_and_says_so(folder: Path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert tool.main([str(folder), "--device", "cuda"]) == 2
    assert "--device is cuda, and PyTorch finds no GPU here" in capsys.readouterr().err
    assert tool.main([str(folder), "--device", "auto"]) == 0
    assert "computed in float32 on the CPU" in capsys.readouterr().out


def test_the_numbers_of_a_gpu_are_compared_and_nothing_is_left_on_the_cpu(folder: Path, monkeypatch):
    name = "pips_functions_of_ours.npz"
    with simulated_gpu(monkeypatch) as device:
        weights = Weights(folder, seed=0, device=device)
        rows = comparison(name)(folder / name, folder, weights)
        assert [row.ok for row in rows] == [True] * 3
        assert weights.pips().norm.weight.device == device


def test_a_simulated_gpu_refuses_what_a_gpu_refuses(monkeypatch):
    with simulated_gpu(monkeypatch) as device:
        there = torch.arange(3.0, device=device)
        assert (2 * there)[1:].cpu().tolist() == [2.0, 4.0]
        assert there[[2, 0]].device == device
        with pytest.raises(RuntimeError, match="same device"):
            there + torch.ones(3)
        with pytest.raises(RuntimeError, match=r"numpy"):
            np.asarray(there)
        assert farthest("q", there, [0.0, 1.0, 2.5], 0.5) == Row("q", 0.5, 0.5)


def test_help_says_how_to_use_it(capsys):
    with pytest.raises(SystemExit) as ended:
        tool.main(["--help"])
    assert ended.value.code == 0
    assert "golden.py DIR" in capsys.readouterr().out


# --- the weights ------------------------------------------------------------------------------------------------------


def first_convolution(folder: Path, seed: int) -> None:
    """A golden file that says only what the first convolution makes of a frame, with the weights of a seed."""
    tensors = pips_weights(seed)
    rgb = np.random.default_rng(0).integers(0, 255, (8, 64, 80, 3), np.uint8)
    frame = 2 * (torch.from_numpy(rgb[:1]).permute(0, 3, 1, 2).float() / 255) - 1
    out = torch.conv2d(frame, tensors["fnet.conv1.weight"], tensors["fnet.conv1.bias"], 2, 3)
    np.savez(folder / "pips_random_sea.npz", frames=rgb, s4_enc_conv1_sub=out[0, ::8, ::16, ::16].numpy())


def test_the_seed_of_the_weights_is_found(tmp_path: Path):
    first_convolution(tmp_path, seed=1)
    weights = Weights(tmp_path)
    network = weights.pips(stride=8)
    assert network.stride == 8
    assert torch.equal(network.vis_predictor[0].weight, pips_weights(1)["vis_predictor.0.weight"])
    assert weights.origins == ["PIPS: seed 1, whose first convolution fits pips_random_sea.npz"]
    assert weights.pips().stride == 4
    assert len(weights.origins) == 1


def test_weights_that_lie_in_the_folder_are_taken(tmp_path: Path):
    torch.save({"a": torch.zeros(3)}, tmp_path / "another_network.pth")
    torch.save({"model_state_dict": pips_weights(3)}, tmp_path / "weights.pth")
    weights = Weights(tmp_path)
    assert torch.equal(weights.pips().norm.bias, pips_weights(3)["norm.bias"])
    assert weights.origins == [f"PIPS: {tmp_path / 'weights.pth'}"]


def test_no_fitting_seed_is_one_clear_error(tmp_path: Path, monkeypatch):
    first_convolution(tmp_path, seed=1)
    monkeypatch.setattr(folder_weights, "SEEDS", range(1))
    with pytest.raises(ConfigError, match=r"no seed of 0 to 0 .* --pips-weights"):
        Weights(tmp_path).pips()
    with pytest.raises(ConfigError, match=r"no pips_\*.npz .* --seed N"):
        Weights(tmp_path / "nowhere").pips()


def test_weights_that_can_not_be_read_are_3(folder: Path, capsys):
    np.savez(folder / "pips_window_sea.npz", traj_iters=np.zeros(1), frames=np.zeros((8, 64, 64, 3), np.uint8))
    assert tool.main([str(folder), "--pips-weights", str(folder / "none.pth")]) == 3
    assert "none.pth: no such file" in capsys.readouterr().err


def test_a_window_without_its_clip_says_which_it_needs(tmp_path: Path, capsys):
    np.savez(tmp_path / "pips_window_sea.npz", traj_iters=np.zeros(1))
    assert tool.main([str(tmp_path), "--seed", "0"]) == 2
    assert "clip_sea_*.npz" in capsys.readouterr().err


# --- the seed of query points -----------------------------------------------------------------------------------------


def query_points(folder: Path, seed: int) -> None:
    """What the reference draws from a mask: `torch.manual_seed(seed)` before each call, the first of a permutation."""
    mask = np.zeros((60, 80), np.uint8)
    mask[10:50, 20:70] = 1
    pixels_yx = np.argwhere(mask)
    torch.manual_seed(seed)
    clustered = pixels_yx[torch.randperm(len(pixels_yx))[:1800].numpy()]
    torch.manual_seed(seed)
    drawn = pixels_yx[torch.randperm(len(pixels_yx))[:5].numpy()]
    distances = np.linalg.norm(clustered[:, None] - clustered[None], axis=2)
    medoids = kmedoids(np.ascontiguousarray(clustered[:, ::-1]).astype(np.float64), 3)
    arrays = {
        "mask_shape": np.array(mask.shape),
        "mask_packed": np.packbits(mask),
        "image": np.zeros((*mask.shape, 3), np.uint8),
        "kmedoids_3/pixels_yx": clustered,
        "kmedoids_3/medoid_indices": medoids,
        "kmedoids_3/inertia": distances[medoids].min(axis=0).sum(),
        "kmedoids_3/points_xy": clustered[medoids][:, ::-1].astype(np.float32),
        "random_5/points_xy": drawn[:, ::-1].astype(np.float32),
    }
    np.savez(folder / "query_points_box.npz", **arrays)


def test_the_seed_of_the_query_points_is_found_or_given(tmp_path: Path, capsys):
    query_points(tmp_path, seed=5)
    assert tool.main([str(tmp_path)]) == 0
    output = capsys.readouterr().out
    assert "query points: seed 5, which draws the pixels of kmedoids_3" in output
    assert "4 of 4 quantities" in output
    assert tool.main([str(tmp_path), "--query-seed", "5"]) == 0
    assert tool.main([str(tmp_path), "--query-seed", "72"]) == 1


def test_no_fitting_seed_of_query_points_is_one_clear_error(tmp_path: Path, capsys):
    query_points(tmp_path, seed=100_000)
    assert tool.main([str(tmp_path)]) == 2
    assert "no seed of 0 to 255 draws the pixels that kmedoids_3 clusters: name it with --query-seed N" in (
        capsys.readouterr().err
    )
    assert tool.main([str(tmp_path), "--query-seed", "100000"]) == 0


# --- rows -------------------------------------------------------------------------------------------------------------


def test_the_largest_difference_counts_and_nan_or_another_shape_is_beyond_any_tolerance():
    assert farthest("q", [1.0, 2.5], [1.0, 2.0], 0.5) == Row("q", 0.5, 0.5)
    assert farthest("q", [1.0, 2.5], [1.0, 2.0], 0.5).ok
    assert farthest("q", [-np.inf, np.nan], [-np.inf, np.nan], 0.0).ok
    assert not farthest("q", [np.nan, 0.0], [0.0, 0.0], 1e9).ok
    assert not farthest("q", [np.inf], [0.0], 1e9).ok
    assert not farthest("q", np.zeros(3), np.zeros(2), 1e9).ok


def test_what_must_be_equal_counts_what_is_not():
    assert differing("q", [1, 2, 3], [1, 5, 4]) == Row("q", 2.0, 0.0)
    assert differing("q", [True], [True]).ok
    assert not differing("q", [1], [1, 1]).ok
    assert relative("q", 101.0, 100.0, 0.02) == Row("q", 0.01, 0.02)
