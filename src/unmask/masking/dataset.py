"""Stage `masked`: puts masks on every face, with the exact binary mask of each."""

from functools import cache, partial
from hashlib import sha256
from pathlib import Path

import numpy as np

from unmask.config.params import Masking, Params
from unmask.datasets.png import decode_image, decode_mask, encode_image
from unmask.datasets.shards import (
    MASKED_SCHEMA,
    count_rows,
    read_rows,
    shards_of,
)
from unmask.datasets.splits import SPLITS
from unmask.datasets.writing import write_rows
from unmask.errors import UnmaskError
from unmask.faces.synthetic import Sampled
from unmask.geometry.landmarks import COUNT
from unmask.masking import MaskedFace, MaskPlacementError, put_on
from unmask.parallel import ordered_map

PRINTS, PRINT_SEED = 64, 20200311  # number and seed of the synthetic faces printed on masks


@cache
def printed_face(index: int, size: int = 192) -> np.ndarray:
    """The lower half of a synthetic face in a frame of side `size`, (H, W, 3) uint8 RGB."""
    face = Sampled(PRINT_SEED, index, size).read()
    left, right = face.landmarks[[1, 15], 0].astype(int)
    top, chin = face.landmarks[[28, 8], 1].astype(int)
    rows, columns = np.arange(top, top + (chin - top) * 5 // 4), np.arange(left, right)
    return face.image[np.ix_(rows.clip(0, size - 1), columns.clip(0, size - 1))]


def mask_on(
    image: np.ndarray,
    landmarks: np.ndarray,
    valid: np.ndarray,
    masking: Masking,
    seed: tuple[int, str, int],
) -> MaskedFace:
    """Put a random mask on a face; its seed contains the face's id, so it depends on no other face.

    Args:
        image: (H, W, 3) uint8 RGB.
        landmarks: (68, 2) in pixels.
        valid: (H, W) bool, false for padding.
        masking: params of the masks.
        seed: the params' seed, the face's id, and the number of the variant.

    Raises:
        MaskPlacementError: when no mask fits the face.
    """
    base, face_id, variant = seed
    words = np.frombuffer(sha256(face_id.encode()).digest(), np.uint32)
    return put_on(
        image,
        landmarks,
        np.random.default_rng([base, variant, *words.tolist()]),
        types=masking.types,
        fabrics=masking.fabrics,
        wear=masking.wear,
        defects=masking.defects,
        occluders=masking.occluders,
        variation=masking.variation,
        printed=printed_face(int(words[variant % 8]) % PRINTS),
        valid=valid,
    )


def without_occluders(masking: Masking) -> Masking:
    """Params for faces that are evaluated, which have no object in front of their masks.

    A restoration keeps such an object, which the true face does not show.
    """
    return masking.model_copy(update={"occluders": {}})


def _masked_row(row: dict, masking: Masking, seed: int) -> dict | str:
    """A row of MASKED_SCHEMA, or one sentence that says why the face is left out."""
    image, valid = decode_image(row["image"]), decode_mask(row["valid"])
    landmarks = np.array(row["landmarks"], np.float32).reshape(COUNT, 2)
    training = row["split"] == "train"
    masking = masking if training else without_occluders(masking)
    variants = []
    try:
        for variant in range(masking.variants if training else 1):
            masked = mask_on(image, landmarks, valid, masking, (seed, row["id"], variant))
            variants.append(
                {
                    "masked": encode_image(masked.image),
                    "mask": encode_image(masked.mask),
                    "occluded": encode_image(masked.occluder),
                    "mask_type": masked.mask_type,
                    "fabric": masked.fabric,
                    "wear": masked.wear,
                    "yaw": masked.yaw,
                }
            )
    except MaskPlacementError as error:
        return f"{row['id']}: {error}"
    return {**row, "variants": variants}


def make(params: Params, data: Path) -> list[str]:
    """Mask the faces of DATA/faces and write them with their masked variants to DATA/masked.

    Args:
        params: of the project.
        data: the project's data folder.

    Returns:
        One sentence for each face that no mask fits, which is left out.

    Raises:
        UnmaskError: when no face is there or no mask fits any.
    """
    shards = [shard for split in SPLITS for shard in shards_of(data / "faces", split)]
    rows = ordered_map(
        partial(_masked_row, masking=params.masking, seed=params.seed),
        read_rows(shards),
        params.masking.workers,
        cluster=params.cluster,
    )
    if not shards:
        raise UnmaskError(f"{data / 'faces'} holds no faces: run the stage `faces` first.")
    return write_rows(
        rows,
        count_rows(shards),
        data / "masked",
        MASKED_SCHEMA,
        params.faces.shard_rows,
        UnmaskError("no mask fits any face: see the reasons above."),
    )
