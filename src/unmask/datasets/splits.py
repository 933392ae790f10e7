"""Which split a face belongs to: a pure function of its identity, stable when data is added."""

from hashlib import sha256

#: Ranges of sha256 mod 1000. Holdout faces are never used to fit the face model, to train, to
#: select or to gate.
RANGES = {
    "holdout": range(0, 100),
    "test": range(100, 150),
    "gate": range(150, 200),
    "val": range(200, 250),
    "train": range(250, 1000),
}
SPLITS = tuple(RANGES)


def split_of(key: str | bytes) -> str:
    """The split of a face.

    Args:
        key: the person's identity, or the image file's bytes where no identity is known.
    """
    raw = key.encode() if isinstance(key, str) else key
    number = int(sha256(raw).hexdigest(), 16) % 1000
    return next(name for name, numbers in RANGES.items() if number in numbers)
