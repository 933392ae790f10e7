"""Real shifts, of synthetic faces restored by the released weights: which are found, and that the
same distribution raises no alarm."""

from collections.abc import Callable

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from project import ROOT
from scipy.stats import binom

from unmask.config.params import MASK_TYPES, load_params
from unmask.faces.records import Face
from unmask.faces.sources import Sampled
from unmask.inference.chain import Chain
from unmask.masking import MaskPlacementError, put_on
from unmask.monitoring.batches import SCHEMA
from unmask.monitoring.drift import DRIFT, compare
from unmask.monitoring.reference import Reference
from unmask.monitoring.summaries import Row, summarise
from unmask.networks import RELEASED

pytestmark = pytest.mark.slow

PARAMS = load_params(ROOT / "conf" / "cpu.yaml")
TRAINED, SHIFTED = 160, 90  # of which four fifths wear a mask


@pytest.fixture(scope="module")
def chain() -> Chain:
    return Chain.load(RELEASED)


def summaries(
    chain: Chain,
    seed: int,
    count: int,
    types: dict[str, float] = PARAMS.masking.types,
    picture: Callable[[np.ndarray], np.ndarray] = lambda image: image,
    who: Callable[[Face], bool] = lambda face: True,
) -> list[Row]:
    """Rows of sampled faces, four of five masked; one that no mask fits is left out."""
    rows, index = [], 0
    while len(rows) < count:
        face, rng = Sampled(seed, index, 128).read(), np.random.default_rng([seed, index])
        index += 1
        if not who(face):
            continue
        image = face.image
        if rng.random() >= PARAMS.drift.bare:
            try:
                image = put_on(
                    image,
                    face.landmarks,
                    rng,
                    types=types,
                    fabrics=PARAMS.masking.fabrics,
                    wear=PARAMS.masking.wear,
                ).image
            except MaskPlacementError:
                continue
        image = picture(image)
        rows += summarise(image, chain.restore(image), chain)
    return rows


def table(rows: list[Row]) -> pd.DataFrame:
    return pa.Table.from_pylist(rows, SCHEMA).to_pandas()


@pytest.fixture(scope="module")
def same(chain) -> list[Row]:
    """Faces of one distribution."""
    return summaries(chain, 1, TRAINED + SHIFTED)


def drifted(known: list[Row], seen: list[Row]) -> set[str]:
    reference = Reference.fit(known, PARAMS.drift)
    findings = compare(reference.table, reference.projected(table(seen)), PARAMS.drift)
    return {finding.feature for finding in findings if finding.verdict == DRIFT}


def test_the_same_distribution_raises_no_more_alarms_than_alpha_allows(same):
    repetitions, alarms = 100, []
    for repetition in range(repetitions):
        order = np.random.default_rng(repetition).permutation(len(same))
        known, seen = order[:TRAINED], order[TRAINED:]
        found = drifted([same[i] for i in known], [same[i] for i in seen])
        alarms += [(repetition, found)] if found else []
    assert len(alarms) <= binom.ppf(0.999, repetitions, PARAMS.drift.alpha), alarms


def test_darker_photos_are_found(chain, same):
    dark = summaries(chain, 2, SHIFTED, picture=lambda image: (image * 0.55).astype(np.uint8))
    found = drifted(same[:TRAINED], dark)
    assert {"brightness", "colour_l"} <= found
    assert not found & {"yaw", "size", "sharpness", "masked", "skipped"}


def test_blurred_photos_are_found(chain, same):
    soft = summaries(chain, 3, SHIFTED, picture=lambda image: cv2.GaussianBlur(image, (0, 0), 1.2))
    found = drifted(same[:TRAINED], soft)
    assert "sharpness" in found
    assert not found & {"brightness", "yaw", "size", "skipped"}


def test_another_mask_style_is_found(chain, same):
    types = dict.fromkeys(MASK_TYPES, 0.0) | {"gaiter": 1.0, "bandana": 1.0}
    found = drifted(same[:TRAINED], summaries(chain, 4, SHIFTED, types=types))
    assert found & {"colour_l", "colour_a", "colour_b", "mask_fraction"}
    assert not found & {"brightness", "sharpness", "yaw", "size"}


def test_another_age_group_is_found(chain, same):
    children = summaries(chain, 5, SHIFTED, who=lambda face: face.age is not None and face.age < 13)
    found = drifted(same[:TRAINED], children)
    assert any(name.startswith(("embedding", "gender")) for name in found)
    assert not found & {"skipped", "masked"}
