import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.config.params import Gate
from unmask.registry.gate import GateScores, judge

NAN = float("nan")
FLOORS = {
    "mask_iou": 0.8,
    "nme": 0.1,
    "gender_accuracy": 0.7,
    "hole_psnr_over_mean_face": 3.0,
    "hole_psnr_over_telea": 2.0,
    "bare_restored": 0.1,
    "sharpness": [0.8, 1.2],
}
PARAMS = Gate.model_validate(
    {
        "primary": "hole_psnr",
        "floors": FLOORS,
        "minimum_faces": 30,
        "minimum_slice": 10,
        "slice_tolerance": {"perceptual": 0.05, "hole_psnr": 0.5},
        "hole_psnr_tolerance": 0.5,
        "mask_iou_tolerance": 0.02,
        "nme_tolerance": 0.01,
        "gender_accuracy_tolerance": 0.05,
        "confidence": 0.95,
        "loss_confidence": 0.8,
        "resamples": 500,
        "latency_ratio": 1.5,
        "first_champion": "none",
        "common_faces": 0,
    }
)
PERCEPTUAL = PARAMS.model_copy(update={"primary": "perceptual"})
HALVES = {"gender=male": np.arange(20), "gender=female": np.arange(20, 40)}
MEANS = ("mask_iou", "nme", "gender_right")


def scores(gain: float | np.ndarray = 0.0, **changes) -> GateScores:
    """Scores of 40 faces; a number in place of an array is every face's."""
    base = np.random.default_rng(0).normal(20, 3, 40)
    values = {
        "hole_psnr": base + gain,
        "perceptual": 0.5,
        "mask_iou": 0.9,
        "nme": 0.05,
        "gender_right": 0.8,
        "over_mean_face": 5.0,
        "over_telea": 5.0,
        "bare_restored": 0.02,
        "sharpness": 1.0,
        "groups": HALVES,
        "seconds": 0.1,
    } | changes
    for name in (*MEANS, "perceptual", "seconds"):
        values[name] = np.broadcast_to(np.float64(values[name]), values["hole_psnr"].shape)
    return GateScores(**values)


def failed(verdict) -> list[str]:
    return [reason.rule for reason in verdict.reasons if not reason.holds]


def test_the_first_model_needs_the_floors_alone():
    verdict = judge(scores(), None, PARAMS)
    assert verdict.promote
    assert verdict.summary == "promoted"
    assert len(verdict.reasons) == 9
    assert all(reason.rule.split()[0] in ("faces", "finite", "floor") for reason in verdict.reasons)


@pytest.mark.parametrize(
    ("name", "rule", "floor", "worse"),
    [
        ("mask_iou", "floor mask IoU", 0.8, -1e-6),
        ("nme", "floor NME", 0.1, 1e-6),
        ("gender_right", "floor gender accuracy", 0.7, -1e-6),
        ("over_mean_face", "floor hole PSNR over mean face", 3.0, -1e-6),
        ("over_telea", "floor hole PSNR over Telea", 2.0, -1e-6),
        ("bare_restored", "floor bare faces altered", 0.1, 1e-6),
        ("sharpness", "floor sharpness", 0.8, -1e-6),
        ("sharpness", "floor sharpness", 1.2, 1e-6),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_each_floor_is_kept(name, rule, floor, worse, first):
    # a champion just as near to the floor, so that the challenger is not worse than it
    floor += 1e-9 if worse < 0 else -1e-9  # of an array's mean
    champion = None if first else scores(-1.0, **{name: floor})
    assert judge(scores(**{name: floor}), champion, PARAMS).promote
    for value in (floor + worse, NAN, math.inf, -math.inf):
        verdict = judge(scores(**{name: value}), champion, PARAMS)
        assert rule in failed(verdict)
        if math.isfinite(value):
            assert failed(verdict) == [rule]
        assert not verdict.promote
        assert verdict.summary.startswith("refused: ")


def test_a_better_model_is_promoted_and_a_worse_or_equal_one_refused():
    champion = scores()
    assert judge(scores(0.3), champion, PARAMS).promote
    assert failed(judge(scores(-0.3), champion, PARAMS)) == ["better"]
    assert "slice gender=male" in failed(judge(scores(-0.6), champion, PARAMS))
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
    assert "gender=female -0.600 on 20 faces" in verdict.summary
    gain[20:] = -0.4  # within the tolerance
    assert judge(scores(gain), scores(), PARAMS).promote


@pytest.mark.parametrize(
    ("name", "rule", "tolerance"),
    [
        ("mask_iou", "not worse mask IoU", -0.02),
        ("nme", "not worse NME", 0.01),
        ("gender_right", "not worse gender accuracy", -0.05),
    ],
)
def test_other_means_may_get_worse_by_their_tolerance_and_no_more(name, rule, tolerance):
    before = getattr(scores(), name)[0]
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
    gain[9] = -4.0
    groups = {"yaw=25-91": np.arange(10)}
    assert failed(judge(scores(gain, groups=groups), scores(), PARAMS)) == ["slice yaw=25-91"]


def test_a_slice_that_lost_by_chance_alone_is_kept():
    gain = np.full(40, 3.0)
    gain[:10] = [9, -9, 7, -7, 5, -5, 3, -9, 8, -8]  # -0.6 in the mean, of a spread of 7
    groups = {"ethnicity=other": np.arange(10)}
    assert judge(scores(gain, groups=groups), scores(), PARAMS).promote
    gain[:10] = -0.6
    verdict = judge(scores(gain, groups=groups), scores(), PARAMS)
    assert failed(verdict) == ["slice ethnicity=other"]


def test_gender_is_judged_on_the_faces_whose_gender_is_known():
    right = np.array([1.0] * 30 + [NAN] * 10)
    wrong = np.array([1.0] * 15 + [0.0] * 15 + [NAN] * 10)
    params = PARAMS.model_copy(
        update={"floors": PARAMS.floors.model_copy(update={"gender_accuracy": 0.5})}
    )
    assert judge(scores(1.0, gender_right=right), scores(gender_right=right), params).promote
    verdict = judge(scores(1.0, gender_right=wrong), scores(gender_right=right), params)
    assert failed(verdict) == ["not worse gender accuracy"]
    assert "-0.500 on 30 faces" in verdict.summary


@pytest.mark.filterwarnings("error")
def test_a_gate_split_without_known_gender_says_so():
    verdict = judge(scores(1.0, gender_right=NAN), scores(gender_right=NAN), PARAMS)
    assert failed(verdict) == ["floor gender accuracy", "not worse gender accuracy"]
    assert "gender accuracy is missing" in verdict.summary


@pytest.mark.parametrize("first", [True, False])
def test_too_few_faces_are_refused(first):
    few = {name: np.full(29, getattr(scores(), name)[0]) for name in ("hole_psnr", *MEANS)}
    groups = {"gender=male": np.arange(29)}
    better = scores(**few | {"hole_psnr": few["hole_psnr"] + 1}, groups=groups)
    champion = None if first else scores(**few, groups=groups)
    verdict = judge(better, champion, PARAMS)
    assert failed(verdict) == ["faces"]
    assert verdict.summary == "refused: 29 faces were scored, at least 30 wanted"


def closer(by: float | np.ndarray, **changes) -> GateScores:
    """Scores whose perceptual distance of each face is 0.2..0.8 less a share `by` of it."""
    distances = np.random.default_rng(2).uniform(0.2, 0.8, 40)
    return scores(**{"perceptual": distances * (1 - by)} | changes)


def test_the_perceptual_distance_decides_where_it_is_primary():
    assert judge(closer(0.02), closer(0.0), PERCEPTUAL).promote
    assert failed(judge(closer(0.0), closer(0.0), PERCEPTUAL)) == ["better"]
    verdict = judge(closer(-0.02), closer(0.0), PERCEPTUAL)
    assert failed(verdict) == ["better"]
    assert "perceptual distance better by -0.0200 of the champion's" in verdict.summary
    noise = np.random.default_rng(1).normal(0, 0.2, 40)
    by_chance = closer(noise - noise.mean() + 0.005, groups={})
    assert failed(judge(by_chance, closer(0.0), PERCEPTUAL)) == ["better"]
    assert failed(judge(closer(0.02), closer(0.0), PARAMS)) == ["better"]  # it is not primary


def test_a_slice_may_lose_a_share_of_the_champions_perceptual_distance():
    gain = np.full(40, 0.3)
    gain[20:] = -0.06
    verdict = judge(closer(gain), closer(0.0), PERCEPTUAL)
    assert failed(verdict) == ["slice gender=female"]
    assert "gender=female -0.060 on 20 faces" in verdict.summary
    gain[20:] = -0.04  # within the tolerance
    assert judge(closer(gain), closer(0.0), PERCEPTUAL).promote
    psnr = scores(1.0).hole_psnr.copy()
    psnr[20:] -= 2.0  # a slice's PSNR is not judged
    assert judge(closer(0.3, hole_psnr=psnr), closer(0.0), PERCEPTUAL).promote


def test_hole_psnr_may_pay_its_tolerance_for_perceptual_gains_and_no_more():
    before = scores().hole_psnr
    within, beyond = (closer(0.3, hole_psnr=before + by) for by in (-0.49, -0.51))
    assert judge(within, closer(0.0), PERCEPTUAL).promote
    assert failed(judge(beyond, closer(0.0), PERCEPTUAL)) == ["not worse hole PSNR"]
    rules = [reason.rule for reason in judge(scores(1.0), scores(), PARAMS).reasons]
    assert "not worse hole PSNR" not in rules  # it is primary, so it must be better


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [NAN, math.inf])
def test_a_perceptual_distance_that_is_no_number_is_refused(value):
    distances = closer(0.3).perceptual.copy()
    distances[25] = value
    assert failed(judge(scores(perceptual=distances), None, PARAMS)) == ["finite"]
    with np.errstate(invalid="ignore"):
        verdict = judge(scores(perceptual=distances), closer(0.0), PERCEPTUAL)
        assert failed(verdict) == ["finite", "better", "slice gender=female"]
        verdict = judge(closer(0.3), scores(perceptual=distances), PERCEPTUAL)
    assert failed(verdict) == ["better", "slice gender=female"]


@pytest.mark.filterwarnings("error")
def test_a_champion_without_any_distance_cannot_be_beaten():
    verdict = judge(closer(0.0), scores(perceptual=0.0), PERCEPTUAL)
    assert failed(verdict)[0] == "better"
    assert not judge(scores(perceptual=0.0), scores(perceptual=0.0), PERCEPTUAL).promote


@pytest.mark.parametrize("band", [[1.2, 0.8], [1.0, 1.0], [-0.1, 1.0], [NAN, 1.0]])
def test_sharpness_wants_a_band(band):
    with pytest.raises(ValueError, match=r"band \[LEAST, MOST\]"):
        Gate.model_validate(PARAMS.model_dump() | {"floors": FLOORS | {"sharpness": band}})


@pytest.mark.parametrize(("seconds", "holds"), [(0.15, True), (0.1501, False), (0.01, True)])
def test_latency(seconds, holds):
    verdict = judge(scores(1.0, seconds=seconds), scores(seconds=0.1), PARAMS)
    assert verdict.promote is holds
    assert failed(verdict) == ([] if holds else ["latency"])


def test_latency_is_judged_picture_by_picture():
    """A machine that was busy during half of the pictures slowed both models alike."""
    busy = np.where(np.arange(40) < 20, 10.0, 1.0)
    champion = scores(seconds=0.1 * busy)
    assert judge(scores(1.0, seconds=0.14 * busy), champion, PARAMS).promote
    assert failed(judge(scores(1.0, seconds=0.16 * busy), champion, PARAMS)) == ["latency"]
    hiccup = np.full(40, 0.1)
    hiccup[:19] = 60.0
    assert judge(scores(1.0, seconds=hiccup), scores(), PARAMS).promote


def test_nan_anywhere_is_refused():
    psnr = scores(1.0).hole_psnr.copy()
    psnr[25] = NAN
    verdict = judge(scores(hole_psnr=psnr), scores(), PARAMS)
    assert failed(verdict) == ["finite", "better", "slice gender=female"]
    for infinite in (math.inf, -math.inf):
        psnr[25] = infinite
        assert failed(judge(scores(1.0), scores(hole_psnr=psnr), PARAMS))[:2] == [
            "better",
            "slice gender=female",
        ]
    psnr[25] = NAN
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


@pytest.mark.filterwarnings("error")
def test_no_faces_are_a_refusal():
    none = dict.fromkeys(("perceptual", *MEANS), ())
    empty = scores(hole_psnr=np.zeros(0), **none, groups={})
    assert failed(judge(empty, empty, PARAMS)) == ["faces"]
    assert failed(judge(empty, None, PARAMS)) == ["faces"]


def test_scores_of_different_faces_are_never_compared():
    with pytest.raises(ValueError, match="faces"):
        judge(scores(1.0), scores(hole_psnr=np.ones(39)), PARAMS)


def test_the_verdict_is_json_even_of_numpys_numbers():
    found = {
        field.name: np.float64(getattr(scores(), field.name))
        for field in dataclasses.fields(GateScores)
        if field.type is float
    }
    for champion in (None, scores(-1.0)):
        verdict = judge(scores(**found), champion, PARAMS)
        document = json.loads(json.dumps(verdict.as_json()))
        assert document["promote"] is True
        assert document["summary"] == "promoted"
        assert len(document["reasons"]) == len(verdict.reasons)


@given(seed=st.integers(0, 9999), gain=st.floats(0.01, 0.3))
def test_of_two_models_at_most_one_is_closer(seed, gain):
    one, two = closer(np.random.default_rng(seed).normal(gain, 0.3, 40), groups={}), closer(0.0)
    there = judge(one, two, PERCEPTUAL).promote
    back = judge(dataclasses.replace(two, groups={}), one, PERCEPTUAL).promote
    assert not (there and back)


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
            for name in ("mask_iou", "nme", "gender_right", "over_mean_face", "over_telea")
        }
    )
)
def test_promotion_means_that_every_floor_holds(numbers):
    verdict = judge(scores(**numbers), None, PARAMS)
    expected = (
        numbers["mask_iou"] >= 0.8
        and numbers["nme"] <= 0.1
        and numbers["gender_right"] >= 0.7
        and numbers["over_mean_face"] >= 3
        and numbers["over_telea"] >= 2
        and all(math.isfinite(number) for number in numbers.values())
    )
    assert verdict.promote is expected
