"""What batches cost, by measurements that lie now and then."""

from __future__ import annotations

import random

import pytest

from stream.scheduling.cost_model import MOST_SIZES, CostModel, fit_line


def measured(fixed_s: float, unit_s: float, sizes: list[int], times: int = 5, noise=None) -> CostModel:
    model = CostModel()
    for _ in range(times):
        for units in sizes:
            model.add(units, (fixed_s + unit_s * units) * (noise() if noise else 1.0))
    return model


def test_nothing_measured_costs_nothing():
    model = CostModel()
    assert (model.is_measured, model.has_slope, model.estimate_s(8)) == (False, False, 0.0)


def test_of_one_size_the_cost_is_proportional():
    model = measured(0.020, 0.005, [2])
    assert model.is_measured
    assert not model.has_slope
    assert model.estimate_s(2) == pytest.approx(0.030)
    assert model.estimate_s(4) == pytest.approx(0.060)


def test_two_sizes_tell_the_fixed_cost_from_that_of_a_unit():
    model = measured(0.020, 0.005, [1, 4])
    assert (model.fixed_s, model.unit_s) == (pytest.approx(0.020), pytest.approx(0.005))


@pytest.mark.parametrize("seed", range(20))
def test_one_duration_in_ten_that_is_ten_times_too_long_changes_little(seed):
    rng = random.Random(seed)

    def noise() -> float:
        return rng.gauss(1, 0.03) * (10 if rng.random() < 0.1 else 1)

    model = measured(0.010, 0.004, [1, 2, 3, 5, 8], times=30, noise=noise)
    for units in (1, 4, 8):
        assert model.estimate_s(units) == pytest.approx(0.010 + 0.004 * units, rel=0.1)


def test_a_machine_that_has_become_slower_is_believed_after_some_batches():
    model = measured(0.010, 0.002, [1, 4], times=50)
    for _ in range(10):
        for units in (1, 4):
            model.add(units, 2 * (0.010 + 0.002 * units))
    assert model.estimate_s(4) == pytest.approx(0.036, rel=0.05)


@pytest.mark.parametrize("seed", range(20))
def test_neither_part_of_the_cost_is_ever_negative(seed):
    rng = random.Random(seed)
    sizes = [(rng.randint(1, 16), rng.uniform(0.001, 0.1), rng.randint(1, 9)) for _ in range(rng.randint(1, 8))]
    fixed_s, unit_s = fit_line(sizes)
    assert fixed_s >= 0
    assert unit_s >= 0
    assert fixed_s + unit_s > 0


def test_a_common_batch_pays_where_much_of_the_cost_is_fixed():
    assert CostModel((0.010, 0.005)).pays(1, 1)
    assert CostModel((0.010, 0.005)).pays(8, 8)


def test_it_does_not_pay_where_cost_is_proportional_or_worse():
    assert not CostModel((0.0, 0.5)).pays(1, 1)
    assert not measured(0.0, 0.5, [1, 2]).pays(1, 1)
    worse = CostModel()  # two together cost more than two apart
    for units, seconds in ((1, 0.5), (2, 1.2), (1, 0.5), (2, 1.2)):
        worse.add(units, seconds)
    assert not worse.pays(1, 1)


def test_a_little_saving_does_not_pay_for_making_the_first_wait():
    assert not CostModel((0.010, 0.1)).pays(1, 1)
    assert CostModel((0.010, 0.005)).pays(1, 1)
    assert not CostModel((0.010, 0.005)).pays(60, 1)


def test_a_cost_that_was_given_is_corrected_by_what_is_measured():
    model = CostModel((0.010, 0.005))
    for _ in range(5):
        model.add(2, 0.040)  # a machine half as fast
    assert model.estimate_s(4) == pytest.approx(0.060)
    model.add(4, 0.045)
    assert model.estimate_s(4) == pytest.approx(0.045)


def test_sizes_that_were_measured_long_ago_give_way():
    model = measured(0.010, 0.001, list(range(1, 200)), times=1)
    assert len(model._sizes) == MOST_SIZES
    assert model.estimate_s(10) == pytest.approx(0.020, rel=0.05)
