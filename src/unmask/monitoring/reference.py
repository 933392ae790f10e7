"""What the chain sees and answers on faces like those it was trained on."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.decomposition import PCA

from unmask.config.params import Drift, Params
from unmask.datasets.cache import open_split
from unmask.errors import UnmaskError
from unmask.evaluation.evaluation_set import EvaluationSet, box_of
from unmask.evaluation.native_resolution import at_native_resolution
from unmask.inference.chain import Chain
from unmask.monitoring.batches import SCHEMA, write_table
from unmask.monitoring.summaries import Row, summarise
from unmask.parallel import with_progress

_PROJECTION = b"unmask.projection"
_PARTS = 5  # that faces are projected in, each by the components of the others


class UnreadableReferenceError(UnmaskError):
    """A reference that is missing or damaged; the message names its file."""


@dataclass(frozen=True)
class Reference:
    """Summaries of faces like those of training, and the projection fitted to their embeddings.

    Attributes:
        table: a row a face, with columns embedding_1 to embedding_K in place of `embedding`.
        mean, components: (D,) and (K, D) float32 of a principal component analysis.
    """

    table: pd.DataFrame
    mean: np.ndarray
    components: np.ndarray

    @classmethod
    def fit(cls, rows: list[Row], params: Drift) -> "Reference":
        """The reference of summaries; has fewer components where it has too few faces.

        Each face is projected by the components of the others, turned to agree with those of all:
        faces spread further along components that were fitted to them than any others do, which
        would pass for drift.
        """
        table = pa.Table.from_pylist(rows, SCHEMA).to_pandas()
        seen = np.flatnonzero(table["embedding"].map(len))
        parts = [seen[part::_PARTS] for part in range(min(_PARTS, len(seen)))]
        count = min(params.components, len(seen) - len(parts[0]) - 1) if parts else 0
        if count < 1:
            return cls(table.drop(columns="embedding"), np.zeros(0), np.zeros((0, 0)))

        def fitted(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            pca = PCA(count, random_state=0).fit(np.stack(table["embedding"].to_numpy()[faces]))
            return pca.mean_.astype(np.float32), pca.components_.astype(np.float32)

        mean, components = fitted(seen)
        projected = cls(table, mean, components).projected(table)
        for part in parts:
            others_mean, others = fitted(np.setdiff1d(seen, part))
            left, _, right = np.linalg.svd(components @ others.T)
            turned = cls(table, others_mean, left @ right @ others).projected(table.loc[part])
            projected.loc[part] = turned
        return cls(projected, mean, components)

    @property
    def model(self) -> str:
        """Of whose chain it is, see `summaries.model_of`."""
        return str(self.table["model"].iloc[0])

    def projected(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows of the same chain with components in place of the embedding."""
        known = rows["embedding"].map(len).to_numpy() > 0
        scores = np.full((len(rows), len(self.components)), np.nan, np.float32)
        if known.any() and len(self.components):
            embeddings = np.stack(rows["embedding"].to_numpy()[known])
            scores[known] = (embeddings - self.mean) @ self.components.T
        named = {f"embedding_{index}": column for index, column in enumerate(scores.T, 1)}
        return rows.drop(columns="embedding").assign(**named)

    def save(self, path: Path) -> None:
        """Write one Parquet file, whole or not at all."""
        projection = {"mean": self.mean.tolist(), "components": self.components.tolist()}
        table = pa.Table.from_pandas(self.table, preserve_index=False)
        write_table(
            table.replace_schema_metadata({_PROJECTION: json.dumps(projection).encode()}), path
        )

    @classmethod
    def load(cls, path: Path) -> "Reference":
        """Read what `save` wrote.

        Raises:
            UnreadableReferenceError: for a missing or damaged file.
        """
        try:
            table = pq.read_table(path)
            projection = json.loads(table.schema.metadata[_PROJECTION])
        except (pa.ArrowException, OSError, KeyError, TypeError) as error:
            raise UnreadableReferenceError(
                f"{path} is no reference of drift ({str(error).splitlines()[0]}): "
                "make it again by `dvc repro reference`."
            ) from error
        mean, components = (np.array(projection[key], np.float32) for key in projection)
        return cls(table.to_pandas(), mean, components)


def _restored(chain: Chain, pictures: np.ndarray, valid: np.ndarray) -> Iterator[list[Row]]:
    for padded, shown in zip(pictures, valid, strict=True):
        picture = padded[box_of(shown)]
        yield summarise(picture, chain.restore(picture), chain)


def make(params: Params, root: Path, masked: Path, models: Path) -> Reference:
    """Summarise val faces as their sources give them, masked, and some of them bare.

    Args:
        root: the folder of params.yaml, at which the sources' paths start.
        masked: the masked faces.
        models: the folder of the stored networks.

    Raises:
        EmptySplit: when there are no val faces.
    """
    chain = Chain.load(models)
    eval_set: EvaluationSet = at_native_resolution(params, root, open_split(masked, "val"))
    bare = min(len(eval_set), round(len(eval_set) * params.drift.bare / (1 - params.drift.bare)))
    chosen = np.arange(bare) * len(eval_set) // max(bare, 1)
    pictures = np.concatenate([eval_set.masked, eval_set.images[chosen]])
    valid = np.concatenate([eval_set.valid, eval_set.valid[chosen]])
    found = with_progress(_restored(chain, pictures, valid), len(pictures), "reference")
    return Reference.fit([row for rows in found for row in rows], params.drift)
