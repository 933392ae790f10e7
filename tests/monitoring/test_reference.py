from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.decomposition import PCA

from unmask.config.params import Drift
from unmask.errors import UnmaskError
from unmask.inference.chain import Chain
from unmask.monitoring.batches import SCHEMA
from unmask.monitoring.reference import Reference, make_reference
from unmask.networks import RELEASED, chain_md5

PARAMS = Drift(bare=0.2, components=3, alpha=0.01, effect=0.2, minimum=4, changes={})


def rows(count: int, skipped: int = 0, length: int = 12, seed: int = 0) -> list[dict]:
    rng = np.random.default_rng(seed)
    names = [name for name in SCHEMA.names if name not in ("model", "status", "embedding")]
    spread = np.linspace(3, 0.1, length)
    seen = [
        {
            "model": "m",
            "status": "restored",
            "embedding": (rng.normal(size=length) * spread).tolist(),
            **{name: float(rng.normal()) for name in names},
        }
        for _ in range(count)
    ]
    nothing = {"model": "m", "status": "skipped", "embedding": []} | dict.fromkeys(names, np.nan)
    return seen + [nothing] * skipped


def test_the_projection_is_that_of_the_principal_components():
    reference = Reference.fit(rows(40, skipped=2), PARAMS)
    embeddings = np.array([row["embedding"] for row in rows(40)])
    expected = PCA(3, random_state=0).fit(embeddings)
    np.testing.assert_allclose(reference.components, expected.components_, atol=1e-4)
    np.testing.assert_allclose(reference.mean, expected.mean_, atol=1e-4)
    found = reference.table[["embedding_1", "embedding_2", "embedding_3"]].to_numpy()
    for own, fitted in zip(found[:40].T, expected.transform(embeddings).T, strict=True):
        assert np.corrcoef(own, fitted)[0, 1] > 0.8  # the same directions, though of other faces
    assert np.isnan(found[40:]).all()
    assert "embedding" not in reference.table


def test_faces_of_the_same_distribution_spread_no_less_than_the_reference():
    """Long embeddings of few faces: components fit the faces that they were found in too well."""
    known, seen = (rows(160, length=400, seed=seed) for seed in (1, 2))
    reference = Reference.fit(known, PARAMS)
    projected = reference.projected(pa.Table.from_pylist(seen, SCHEMA).to_pandas())
    for column in ("embedding_1", "embedding_2", "embedding_3"):
        assert 0.75 < projected[column].std() / reference.table[column].std() < 1.33


def test_what_is_saved_comes_back(tmp_path):
    reference = Reference.fit(rows(40, skipped=1), PARAMS)
    reference.save(tmp_path / "reference.parquet")
    loaded = Reference.load(tmp_path / "reference.parquet")
    assert loaded.model == "m"
    assert loaded.table.equals(reference.table)
    np.testing.assert_array_equal(loaded.mean, reference.mean)
    np.testing.assert_array_equal(loaded.components, reference.components)
    before = (tmp_path / "reference.parquet").read_bytes()
    reference.save(tmp_path / "reference.parquet")
    assert (tmp_path / "reference.parquet").read_bytes() == before


@pytest.mark.parametrize(("seen", "components"), [(0, 0), (1, 0), (2, 0), (3, 1), (9, 3)])
def test_few_faces_have_fewer_components(seen, components, tmp_path):
    Reference.fit(rows(seen, skipped=2), PARAMS).save(tmp_path / "reference.parquet")
    loaded = Reference.load(tmp_path / "reference.parquet")
    assert sum(c.startswith("embedding") for c in loaded.table) == components
    assert len(loaded.table) == seen + 2


@pytest.mark.parametrize("content", [None, b"", b"PAR1", b"no table"])
def test_a_missing_or_damaged_reference_is_named(content, tmp_path):
    path = tmp_path / "reference.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnmaskError, match=r"reference\.parquet is no reference"):
        Reference.load(path)


@pytest.mark.slow
def test_val_faces_are_summarised_masked_and_some_bare(smoke, masked, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reference = make_reference(smoke, Path(), masked, RELEASED)
    half = len(reference.table) // 2  # profile smoke wants as many bare faces as masked ones
    statuses = reference.table["status"].tolist()
    assert half > 0
    assert statuses[half:].count("no_mask") > half / 2
    assert statuses[:half].count("restored") > half / 2
    assert reference.model == Chain.load(RELEASED).md5 == chain_md5(RELEASED)
    assert make_reference(smoke, Path(), masked, RELEASED).table.equals(reference.table)
