"""Milliseconds that putting a mask on one face takes on one core.

    python benchmarks/mask_speed.py [--size 128] [--faces 600]

The faces are sampled from the embedded model; type, fabric and wear are drawn evenly, faults and
what hides masks by the chances in params.yaml.
"""

import argparse
import time

import cv2
import numpy as np

from unmask.config.params import load_params
from unmask.faces.sources import Sampled
from unmask.masking import FABRICS, MASK_TYPES, WEARS, put_on

_SAMPLED, _WARM_UP = 40, 200


def main() -> None:
    """Print the mean, the median and the slowest tenth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--faces", type=int, default=600)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    sampled = [Sampled(0, index, asked.size).read() for index in range(_SAMPLED)]
    masking = load_params().masking
    weights = {
        "types": dict.fromkeys(MASK_TYPES, 1.0),
        "fabrics": dict.fromkeys(FABRICS, 1.0),
        "wear": dict.fromkeys(WEARS, 1.0),
        "defects": masking.defects,
        "occluders": masking.occluders,
    }
    rng, times = np.random.default_rng(0), []
    for index in range(asked.faces + _WARM_UP):
        face = sampled[index % _SAMPLED]
        start = time.perf_counter()
        put_on(face.image, face.landmarks, rng, **weights)
        times.append(1000 * (time.perf_counter() - start))
    measured = times[_WARM_UP:]
    print(
        f"{np.mean(measured):.2f} ms a face on average, {np.median(measured):.2f} ms in the median "
        f"(of {asked.faces} at {asked.size} pixels), "
        f"one in ten takes more than {np.quantile(measured, 0.9):.2f} ms"
    )


if __name__ == "__main__":
    main()
