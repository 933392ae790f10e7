"""The drift reference: summaries of faces like those that the networks were trained on."""

import json
from dataclasses import dataclass
from functools import partial
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
from unmask.parallel import ordered_map, with_progress

_PROJECTION = b"unmask.projection"  # key of the Parquet file's metadata
_FOLDS = 5  # of the faces, each projected by components that were fitted to the others


@dataclass(frozen=True)
class Reference:
    """Summaries of faces like those of training, and the projection fitted to their embeddings.

    Attributes:
        table: a row per face, with columns embedding_1 to embedding_K in place of `embedding`.
        mean: (D,) float32, of the principal component analysis of the embeddings.
        components: (K, D) float32, of the same.
    """

    table: pd.DataFrame
    mean: np.ndarray
    components: np.ndarray

    @classmethod
    def fit(cls, rows: list[Row], params: Drift) -> "Reference":
        """Make a reference from summaries; few faces give fewer components than params want.

        The faces of each fold are projected by components that were fitted to the other folds and
        rotated to match those of all faces (orthogonal Procrustes): faces spread further along
        components that were fitted to them than new faces do, which would look like drift.
        """
        table = pa.Table.from_pylist(rows, SCHEMA).to_pandas()
        embedded = np.flatnonzero(table["embedding"].map(len))
        folds = [embedded[fold::_FOLDS] for fold in range(min(_FOLDS, len(embedded)))]
        count = min(params.components, len(embedded) - len(folds[0]) - 1) if folds else 0
        if count < 1:
            return cls(table.drop(columns="embedding"), np.zeros(0), np.zeros((0, 0)))

        def fit_pca(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            embeddings = np.stack(list(table["embedding"].to_numpy()[faces]))
            pca = PCA(count, random_state=0).fit(embeddings)
            return pca.mean_.astype(np.float32), pca.components_.astype(np.float32)

        mean, components = fit_pca(embedded)
        projected = cls(table, mean, components).projected(table)
        for fold in folds:
            others_mean, others = fit_pca(np.setdiff1d(embedded, fold))
            left, _, right = np.linalg.svd(components @ others.T)
            rotated = cls(table, others_mean, left @ right @ others)
            projected.loc[fold] = rotated.projected(table.loc[fold])
        return cls(projected, mean, components)

    @property
    def model(self) -> str:
        """The chain that the faces were restored by, by its `Chain.md5`."""
        return str(self.table["model"].iloc[0])

    def projected(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows of the same chain with the embedding's components in place of the embedding."""
        known = rows["embedding"].map(len).to_numpy() > 0
        scores = np.full((len(rows), len(self.components)), np.nan, np.float32)
        if known.any() and len(self.components):
            embeddings = np.stack(list(rows["embedding"].to_numpy()[known]))
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
            UnmaskError: for a missing or damaged file.
        """
        try:
            table = pq.read_table(path)
            projection = json.loads(table.schema.metadata[_PROJECTION])
        except (pa.ArrowException, OSError, KeyError, TypeError) as error:
            raise UnmaskError(
                f"{path} is no reference of drift ({str(error).splitlines()[0]}): "
                "make it again by `dvc repro reference`."
            ) from error
        mean, components = (np.array(projection[key], np.float32) for key in projection)
        return cls(table.to_pandas(), mean, components)


def _summaries(picture: np.ndarray, chain: Chain) -> list[Row]:
    """The rows of a picture (H, W, 3) uint8."""
    return summarise(picture, chain.restore(picture), chain)


def make_reference(params: Params, root: Path, masked: Path, models: Path) -> Reference:
    """Restore val faces in their source pictures, masked and some of them bare, and summarise them.

    Args:
        params: the project's; `drift.bare` is the share of faces without a mask.
        root: the folder of params.yaml, which the sources' paths are relative to.
        masked: the folder of the masked faces.
        models: the folder of the stored networks.

    Raises:
        UnmaskError: when there are no val faces.
    """
    chain = Chain.load(models)
    eval_set: EvaluationSet = at_native_resolution(params, root, open_split(masked, "val"))
    bare = min(len(eval_set), round(len(eval_set) * params.drift.bare / (1 - params.drift.bare)))
    chosen = np.arange(bare) * len(eval_set) // max(bare, 1)
    pictures = np.concatenate([eval_set.masked, eval_set.images[chosen]])
    valid = np.concatenate([eval_set.valid, eval_set.valid[chosen]])
    parts = (padded[box_of(shown)] for padded, shown in zip(pictures, valid, strict=True))
    found = with_progress(
        ordered_map(
            partial(_summaries, chain=chain), parts, 1, cluster=params.cluster, reads=chain.stored
        ),
        len(pictures),
        "reference",
    )
    return Reference.fit([row for rows in found for row in rows], params.drift)
