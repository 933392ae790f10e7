import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.params import Gate
from unmask.registry.gate import GateScores, judge, lower_bound

NAN = float("nan")
FLOORS = {
    "mask_iou": 0.8,
    "nme": 0.1,
    "gender_accuracy": 0.7,
    "hole_psnr_over_mean_face": 3.0,
    "hole_psnr_over_telea": 2.0,
    "bare_restored": 0.1,
}
PARAMS = Gate.model_validate(
    {
        "floors": FLOORS,
        "minimum_slice": 10,
        "slice_tolerance": 0.5,
        "mask_iou_tolerance": 0.02,
        "nme_tolerance": 0.01,
        "gender_accuracy_tolerance": 0.05,
        "confidence": 0.95,
        "resamples": 500,
        "latency_ratio": 1.5,
    }
)
HALVES = {"gender=male": np.arange(20), "gender=female": np.arange(20, 40)}


def scores(gain: float | np.ndarray = 0.0, **changes) -> GateScores:
    base = np.random.default_rng(0).normal(20, 3, 40)
    values = {
        "hole_psnr": base + gain,
        "mask_iou": 0.9,
        "nme": 0.05,
        "gender_accuracy": 0.8,
        "over_mean_face": 5.0,
        "over_telea": 5.0,
        "bare_restored": 0.02,
        "groups": HALVES,
        "seconds": 0.1,
    }
    return GateScores(**values | changes)


def failed(verdict) -> list[str]:
    return [reason.rule for reason in verdict.reasons if not reason.holds]


def test_the_first_model_needs_the_floors_alone():
    verdict = judge(scores(), None, PARAMS)
    assert verdict.promote
    assert verdict.summary == "promoted"
    assert len(verdict.reasons) == 7
    assert all(reason.rule.split()[0] in ("finite", "floor") for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("name", "rule", "floor", "worse"),
    [
        ("mask_iou", "floor mask IoU", 0.8, -1e-6),
        ("nme", "floor NME", 0.1, 1e-6),
        ("gender_accuracy", "floor gender accuracy", 0.7, -1e-6),
        ("over_mean_face", "floor hole PSNR over mean face", 3.0, -1e-6),
        ("over_telea", "floor hole PSNR over Telea", 2.0, -1e-6),
        ("bare_restored", "floor bare faces altered", 0.1, 1e-6),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_each_floor_is_kept(name, rule, floor, worse, first):
    # a champion just as near to the floor, so that the challenger is not worse than it
    champion = None if first else scores(-1.0, **{name: floor})
    assert judge(scores(**{name: floor}), champion, PARAMS).promote
    for value in (floor + worse, NAN, math.inf, -math.inf):
        verdict = judge(scores(**{name: value}), champion, PARAMS)
        assert failed(verdict)[0] == rule
        if math.isfinite(value):
            assert failed(verdict) == [rule]
        assert not verdict.promote
        assert verdict.summary.startswith("refused: ")


def test_a_better_model_is_promoted_and_a_worse_or_equal_one_refused():
    champion = scores()
    assert judge(scores(0.3), champion, PARAMS).promote
    assert failed(judge(scores(-0.3), champion, PARAMS)) == ["better"]
    assert failed(judge(scores(), champion, PARAMS)) == ["better"]


def test_a_gain_that_chance_explains_is_refused():
    noise = np.random.default_rng(1).normal(0, 2, 40)
    gain = noise - noise.mean() + 0.05
    assert failed(judge(scores(gain, groups={}), scores(), PARAMS)) == ["better"]


def test_a_slice_that_got_worse_is_refused_however_good_the_rest():
    gain = np.full(40, 5.0)
    gain[20:] = -0.6
    verdict = judge(scores(gain), scores(), PARAMS)
    assert failed(verdict) == ["slice gender=female"]
    assert "-0.600 dB on 20 faces" in verdict.summary
    gain[20:] = -0.4  # within the tolerance
    assert judge(scores(gain), scores(), PARAMS).promote


@pytest.mark.parametrize(
    ("name", "rule", "tolerance"),
    [
        ("mask_iou", "not worse mask IoU", -0.02),
        ("nme", "not worse NME", 0.01),
        ("gender_accuracy", "not worse gender accuracy", -0.05),
    ],
)
def test_other_means_may_get_worse_by_their_tolerance_and_no_more(name, rule, tolerance):
    before = getattr(scores(), name)
    within = scores(1.0, **{name: before + 0.99 * tolerance})
    beyond = scores(1.0, **{name: before + 1.01 * tolerance})
    assert judge(within, scores(), PARAMS).promote
    assert failed(judge(beyond, scores(), PARAMS)) == [rule]
    assert failed(judge(scores(1.0), scores(**{name: NAN}), PARAMS)) == [rule]
    assert judge(scores(1.0, **{name: before - tolerance}), scores(), PARAMS).promote


def test_slices_of_too_few_faces_are_not_judged():
    gain = np.full(40, 5.0)
    gain[:9] = -4.0
    groups = {"yaw=25-91": np.arange(9)}
    assert judge(scores(gain, groups=groups), scores(), PARAMS).promote
    groups = {"yaw=25-91": np.arange(10)}
    assert failed(judge(scores(gain, groups=groups), scores(), PARAMS)) == ["slice yaw=25-91"]


@pytest.mark.parametrize(("seconds", "holds"), [(0.15, True), (0.1501, False), (0.01, True)])
def test_latency(seconds, holds):
    verdict = judge(scores(1.0, seconds=seconds), scores(seconds=0.1), PARAMS)
    assert verdict.promote is holds
    assert failed(verdict) == ([] if holds else ["latency"])


def test_nan_anywhere_is_refused():
    psnr = scores(1.0).hole_psnr.copy()
    psnr[25] = NAN
    verdict = judge(scores(hole_psnr=psnr), scores(), PARAMS)
    assert failed(verdict) == ["finite", "better", "slice gender=female"]
    assert failed(judge(scores(1.0), scores(hole_psnr=psnr), PARAMS))[0] == "better"
    assert failed(judge(scores(1.0, seconds=NAN), scores(), PARAMS)) == ["finite", "latency"]
    assert failed(judge(scores(1.0), scores(seconds=NAN), PARAMS)) == ["latency"]


def test_the_first_model_too_needs_a_finite_primary_metric():
    psnr = scores().hole_psnr.copy()
    psnr[3] = NAN
    assert not judge(scores(hole_psnr=psnr), None, PARAMS).promote
    assert not judge(scores(seconds=NAN), None, PARAMS).promote


def test_a_champion_that_took_no_time_refuses_by_latency():
    assert failed(judge(scores(1.0), scores(seconds=0.0), PARAMS)) == ["latency"]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_faces_are_a_refusal():
    empty = {"hole_psnr": np.zeros(0), "groups": {}}
    assert failed(judge(scores(**empty), scores(**empty), PARAMS)) == ["better"]


def test_scores_of_different_faces_are_never_compared():
    with pytest.raises(ValueError, match="faces"):
        judge(scores(1.0), scores(hole_psnr=np.array([1.0])), PARAMS)


def test_the_verdict_is_json_even_of_numpys_numbers():
    found = {
        field.name: np.float64(getattr(scores(), field.name))
        for field in dataclasses.fields(GateScores)
        if field.name not in ("groups", "hole_psnr")
    }
    for champion in (None, scores(-1.0)):
        verdict = judge(scores(**found), champion, PARAMS)
        document = json.loads(json.dumps(verdict.as_json()))
        assert document["promote"] is True
        assert document["summary"] == "promoted"
        assert len(document["reasons"]) == len(verdict.reasons)


def test_the_bound_of_a_constant_is_the_constant():
    assert lower_bound(np.full(30, 0.25), PARAMS) == 0.25


def test_the_bound_is_where_the_normal_approximation_puts_it():
    differences = np.random.default_rng(2).normal(0.5, 1.0, 400)
    many = PARAMS.model_copy(update={"resamples": 4000})
    expected = differences.mean() - 1.645 * differences.std() / 20
    assert lower_bound(differences, many) == pytest.approx(expected, abs=0.015)


def test_the_bound_holds_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    below = [lower_bound(rng.normal(1.0, 1.0, 60), PARAMS) <= 1.0 for _ in range(200)]
    assert 0.88 < np.mean(below) < 0.99


@given(seed=st.integers(0, 9999), size=st.integers(1, 60), shift=st.floats(-5, 5))
def test_the_bound_lies_within_the_data_below_the_mean_and_moves_with_it(seed, size, shift):
    differences = np.random.default_rng(seed).normal(0, 2, size)
    bound = lower_bound(differences, PARAMS)
    assert differences.min() - 1e-12 <= bound <= differences.mean() + 1e-9
    assert lower_bound(differences + shift, PARAMS) == pytest.approx(bound + shift, abs=1e-9)
    assert lower_bound(differences, PARAMS) == bound
    surer = PARAMS.model_copy(update={"confidence": 0.99})
    assert lower_bound(differences, surer) <= bound


@given(seed=st.integers(0, 9999), gain=st.floats(0.01, 10))
def test_of_two_models_at_most_one_beats_the_other(seed, gain):
    change = np.random.default_rng(seed).normal(gain, 3, 40)
    there = judge(scores(change, groups={}), scores(), PARAMS).promote
    back = judge(scores(groups={}), scores(change), PARAMS).promote
    assert not (there and back)


@given(gain=st.floats(1e-3, 10))
def test_a_gain_on_every_face_is_always_promoted(gain):
    assert judge(scores(gain), scores(), PARAMS).promote


@given(
    numbers=st.fixed_dictionaries(
        {
            name: st.floats(allow_nan=True, allow_infinity=True)
            for name in ("mask_iou", "nme", "gender_accuracy", "over_mean_face", "over_telea")
        }
    )
)
def test_promotion_means_that_every_floor_holds(numbers):
    verdict = judge(scores(**numbers), None, PARAMS)
    expected = (
        numbers["mask_iou"] >= 0.8
        and numbers["nme"] <= 0.1
        and numbers["gender_accuracy"] >= 0.7
        and numbers["over_mean_face"] >= 3
        and numbers["over_telea"] >= 2
        and all(math.isfinite(number) for number in numbers.values())
    )
    assert verdict.promote is expected
