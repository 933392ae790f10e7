import numpy as np
import pytest

from unmask.data.cache import Split
from unmask.faces.records import Face
from unmask.faces.sources import Sampled
from unmask.masking import put_on
from unmask.params import FABRICS, MASK_TYPES, WEARS


def masked_split(size: int = 64) -> Split:
    """Three sampled faces with two masks each, in memory; the third unlabelled and blurred."""
    images, points, masked, masks, occluded, labels = [], [], [], [], [], []
    for index, gender in enumerate(("male", "female", None)):
        face: Face = Sampled(2, index, size).read()
        worn = [
            put_on(
                face.image,
                face.landmarks,
                np.random.default_rng([index, variant]),
                types={name: float(name not in ("window", "shield")) for name in MASK_TYPES},
                fabrics=dict.fromkeys(FABRICS, 1.0),
                wear=dict.fromkeys(WEARS, 1.0),
            )
            for variant in range(2)
        ]
        images.append(face.image)
        points.append(face.landmarks)
        masked.append([w.image for w in worn])
        masks.append([w.mask for w in worn])
        occluded.append([w.occluder for w in worn])
        labels.append({"gender": gender, "scale": 1.0 if index < 2 else 0.5, "weight": 1.0})
    return Split(
        image=np.stack(images),
        valid=np.ones((3, size, size), bool),
        landmarks=np.stack(points),
        masked=np.array(masked),
        mask=np.array(masks),
        occluded=np.array(occluded),
        labels=labels,
        digest="none",
    )


@pytest.fixture(scope="session")
def split() -> Split:
    return masked_split()
