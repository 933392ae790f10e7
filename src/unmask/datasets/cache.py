"""A split of the masked data as memory-mapped arrays, decoded once from its shards."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unmask.datasets.png import decode_image, decode_mask
from unmask.datasets.shards import count_rows, read_rows, shards_of
from unmask.errors import UnmaskError
from unmask.geometry.landmarks import COUNT
from unmask.locks import locked
from unmask.project import md5_of, state_path, whole_folder

_LABELS = ("id", "source", "identity", "gender", "age", "ethnicity", "scale", "weight")
STYLE = ("mask_type", "fabric", "wear", "yaw")
_GENDERS = {"male": 1.0, "female": 0.0, None: np.nan}
_LAYOUT = 2  # version of the arrays' layout; arrays of an older one are not read
_ARRAYS = ("image", "valid", "landmarks", "masked", "mask", "occluded")


@dataclass(frozen=True)
class Split:
    """N faces in frames of side S, each with V masked variants, memory-mapped.

    Attributes:
        image: (N, S, S, 3) uint8 RGB, the unmasked face.
        valid: (N, S, S) bool, the pixels that the source really shows.
        landmarks: (N, 68, 2) float32 pixels.
        masked: (N, V, S, S, 3) uint8 RGB.
        mask: (N, V, S, S) bool.
        occluded: (N, V, S, S) bool, where an object in front of the mask hides what `image` shows.
        labels: one dict per face (id, gender, age, ...; variants: mask_type, fabric, wear, yaw).
        digest: md5 of the shards.
    """

    image: np.ndarray
    valid: np.ndarray
    landmarks: np.ndarray
    masked: np.ndarray
    mask: np.ndarray
    occluded: np.ndarray
    labels: list[dict]
    digest: str

    def __len__(self) -> int:
        return len(self.image)

    @property
    def size(self) -> int:
        """Side S of the frames in pixels."""
        return self.image.shape[1]

    @property
    def variants(self) -> int:
        """Number V of masked variants per face."""
        return self.masked.shape[1]

    def gender(self, face: int) -> np.float32:
        """1 for male, 0 for female, NaN where the source does not say."""
        return np.float32(_GENDERS[self.labels[face]["gender"]])


def _fill(folder: Path, shards: list[Path]) -> None:
    """Decode shards into one .npy file per array and labels.json."""
    arrays: dict[str, np.memmap] = {}
    labels: list[dict] = []
    for index, row in enumerate(read_rows(shards)):
        if "occluded" not in row["variants"][0]:
            raise UnmaskError(f"{shards[0].parent} is of an older version: run `dvc repro masked`.")
        values = {
            "image": decode_image(row["image"]),
            "valid": decode_mask(row["valid"]),
            "landmarks": np.array(row["landmarks"], np.float32).reshape(COUNT, 2),
            "masked": np.stack([decode_image(v["masked"]) for v in row["variants"]]),
            "mask": np.stack([decode_mask(v["mask"]) for v in row["variants"]]),
            "occluded": np.stack([decode_mask(v["occluded"]) for v in row["variants"]]),
        }
        if index == 0:
            total = count_rows(shards)
            arrays = {
                name: np.lib.format.open_memmap(
                    folder / f"{name}.npy", "w+", value.dtype, (total, *value.shape)
                )
                for name, value in values.items()
            }
        for name, value in values.items():
            arrays[name][index] = value
        labels.append(
            {name: row[name] for name in _LABELS}
            | {"variants": [{name: v[name] for name in STYLE} for v in row["variants"]]}
        )
    for array in arrays.values():
        array.flush()
    (folder / "labels.json").write_text(json.dumps(labels))


def open_split(masked: Path, split: str, cache: Path | None = None) -> Split:
    """Open a split; its shards are decoded the first time that this data is opened.

    Args:
        masked: the folder that stage `masked` wrote.
        split: 'train', 'val', 'gate', 'test' or 'holdout'.
        cache: the folder that keeps the decoded arrays, by the md5 of the shards; None takes the
            project's.

    Raises:
        UnmaskError: when the split has no faces, or an older version wrote the folder.
    """
    shards = shards_of(masked, split)
    if not shards:
        raise UnmaskError(
            f"{masked} has no faces in the split '{split}': add faces to the sources."
        )
    key = md5_of(shards)
    cache = cache or state_path("cache")
    folder = cache / f"{key}-{_LAYOUT}"
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / f"{key}.lock", f"the decoding of {masked}"):
        if not folder.exists():
            with whole_folder(folder) as partial:
                _fill(partial, shards)
        os.utime(folder)  # when it was used last
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
        labels = json.loads((folder / "labels.json").read_text())
    return Split(**arrays, labels=labels, digest=key)


def bound_cache(cache: Path, most_bytes: int) -> int:
    """Delete the splits that were opened the longest ago until the others fit.

    A process that has one open goes on with it.

    Args:
        cache: the folder that keeps the decoded arrays; need not exist.
        most_bytes: of all arrays.

    Returns:
        The bytes of what was deleted.
    """
    folders = [folder for folder in cache.glob("[!.]*") if folder.is_dir()]
    sizes = {f: sum(file.stat().st_size for file in f.iterdir()) for f in folders}
    total = sum(sizes.values())
    deleted = 0
    for folder in sorted(folders, key=lambda folder: folder.stat().st_mtime):
        if total - deleted <= most_bytes:
            break
        with locked(
            cache / f"{folder.name.rpartition('-')[0]}.lock", "the decoding of masked faces"
        ):
            shutil.rmtree(folder)
        deleted += sizes[folder]
    return deleted
