import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact, ks_2samp

from unmask.config.params import NUMBERS, Drift
from unmask.monitoring.drift import DRIFT, STABLE, TOO_FEW, compare, features_of

PARAMS = Drift(bare=0.2, components=2, alpha=0.01, effect=0.2, minimum=40, changes={})
COLUMNS = [*(name for name in NUMBERS if name != "embedding"), "embedding_1", "embedding_2"]


def faces(seed: int, count: int, masked: float = 0.8, **shift: float) -> pd.DataFrame:
    """Rows of independent normal figures; `shift` moves a column by so many deviations."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {name: rng.normal(shift.get(name, 0.0), 1.0, count) for name in COLUMNS}
    ).assign(status=np.where(rng.random(count) < masked, "restored", "no_mask"), model="m")
    table.loc[table["status"] == "no_mask", ["mask_fraction", "colour_l"]] = np.nan
    return table


def verdicts(reference: pd.DataFrame, sample: pd.DataFrame, params: Drift = PARAMS) -> dict:
    return {f.feature: f.verdict for f in compare(reference, sample, params)}


def drifted(reference: pd.DataFrame, sample: pd.DataFrame, params: Drift = PARAMS) -> set[str]:
    return {name for name, v in verdicts(reference, sample, params).items() if v == DRIFT}


@pytest.mark.parametrize("feature", COLUMNS)
def test_a_shift_of_one_feature_is_found_in_it_alone(feature):
    assert drifted(faces(0, 300), faces(1, 150, **{feature: 1.0})) == {feature}


def test_a_change_of_spread_without_one_of_the_mean_is_found():
    sample = faces(1, 200)
    sample["yaw"] *= 4
    assert drifted(faces(0, 300), sample) == {"yaw"}


def test_a_change_of_shares_is_found():
    assert drifted(faces(0, 300, masked=0.8), faces(1, 150, masked=0.3)) == {"masked"}
    sample = faces(1, 150)
    sample.loc[:60, "status"] = "skipped"
    assert "skipped" in drifted(faces(0, 300), sample)


def test_a_certain_but_small_difference_is_no_drift():
    (found,) = (
        f for f in compare(faces(0, 8000), faces(1, 8000, size=0.2), PARAMS) if f.feature == "size"
    )
    assert found.p < 1e-10
    assert found.effect < PARAMS.effect
    assert found.verdict == STABLE


def test_a_large_difference_that_may_be_chance_is_no_drift():
    reference, sample = faces(0, 40), faces(3, 40)
    findings = {f.feature: f for f in compare(reference, sample, PARAMS)}
    large = [f for f in findings.values() if f.effect >= 0.2]
    assert large
    assert all(f.verdict == STABLE and f.p >= PARAMS.alpha for f in large)


def test_the_same_distribution_raises_no_alarm_in_60_repetitions():
    alarms = [drifted(faces(2 * i, 250), faces(2 * i + 1, 80)) for i in range(60)]
    assert sum(map(bool, alarms)) <= 3  # alpha is 1 %; 4 and more of 60 come up 4 times in 1,000


@given(few=st.integers(0, 39), many=st.integers(40, 120), swapped=st.booleans())
def test_too_few_faces_never_say_no_drift(few, many, swapped):
    pair = faces(0, few, brightness=9.0), faces(1, many)
    found = compare(*(pair[::-1] if swapped else pair), PARAMS)
    assert {f.verdict for f in found} == {TOO_FEW}
    assert all(np.isnan(f.p) and np.isnan(f.effect) for f in found)


def test_a_feature_that_few_faces_have_is_too_few_while_others_are_judged():
    found = verdicts(faces(0, 300), faces(1, 100, masked=0.1, brightness=2.0))
    assert found["mask_fraction"] == TOO_FEW
    assert found["brightness"] == DRIFT
    assert found["yaw"] == STABLE


def test_what_is_not_a_number_is_not_counted():
    sample = faces(1, 100)
    sample.loc[:19, "sharpness"] = np.nan
    sample.loc[20:29, "sharpness"] = np.inf
    (found,) = (f for f in compare(faces(0, 300), sample, PARAMS) if f.feature == "sharpness")
    assert (found.reference_count, found.sample_count) == (300, 70)
    assert found.sample_mean == pytest.approx(sample["sharpness"][30:].mean())


def test_effect_and_p_are_those_of_the_tests_corrected_step_by_step():
    reference, sample = faces(0, 90, masked=0.9), faces(1, 70, masked=0.7, score=0.6)
    raw = {
        name: ks_2samp(reference[name].dropna(), sample[name].dropna()).pvalue for name in COLUMNS
    }
    counts = [[(t["status"] == s).sum() for s in ("restored", "no_mask")] for t in
              (reference, sample)]  # fmt: skip
    raw |= {"masked": fisher_exact(counts).pvalue, "skipped": 1.0}
    order = sorted(raw, key=raw.get)
    least, expected = 1.0, {}
    for rank in range(len(order), 0, -1):  # Benjamini and Hochberg, from the largest
        least = min(least, raw[order[rank - 1]] * len(order) / rank)
        expected[order[rank - 1]] = least
    found = {f.feature: f for f in compare(reference, sample, PARAMS)}
    assert found.keys() == expected.keys()
    for name, p in expected.items():
        assert found[name].p == pytest.approx(p, rel=1e-9)
    shares = [c[0] / sum(c) for c in counts]
    assert found["masked"].effect == pytest.approx(abs(shares[0] - shares[1]))


@settings(max_examples=15)
@given(seed=st.integers(0, 2**16), shift=st.floats(-2, 2), scale=st.floats(0.1, 50))
def test_units_order_and_side_do_not_matter(seed, shift, scale):
    reference, sample = faces(seed, 75), faces(seed + 1, 65, brightness=shift)
    found = {f.feature: f for f in compare(reference, sample, PARAMS)}
    shuffled = sample.sample(frac=1.0, random_state=seed)
    for one, other in (
        (reference, shuffled),
        (sample, reference),
        (
            reference.assign(brightness=reference["brightness"] * scale + 3),
            sample.assign(brightness=sample["brightness"] * scale + 3),
        ),
    ):
        again = {f.feature: f for f in compare(one, other, PARAMS)}
        for name in found:
            assert again[name].effect == pytest.approx(found[name].effect)
            assert again[name].p == pytest.approx(found[name].p)
            assert again[name].verdict == found[name].verdict


@settings(max_examples=15)
@given(seed=st.integers(0, 2**16), count=st.integers(40, 90))
def test_a_table_has_not_drifted_from_itself(seed, count):
    table = faces(seed, count)
    assert not drifted(table, table)


def test_every_component_of_the_reference_is_compared():
    assert set(features_of(faces(0, 3))) == {*COLUMNS, "masked", "skipped"}
