"""Milliseconds that the whole chain takes a picture, beside OpenCV's Telea fill.

    python benchmarks/restore_speed.py [--model models] [--pictures 40]

`--model` is a folder of trained networks or a URI such as models:/unmask@champion. The pictures are
masked synthetic faces. Both run in turn on the same pictures.
"""

import argparse
import time

import numpy as np

from unmask.evaluation.baselines import telea
from unmask.faces.sources import Sampled
from unmask.masking import FABRICS, MASK_TYPES, WEARS, put_on
from unmask.registry.loading import load_chain

_SIDE, _WARM_UP = 128, 5


def main() -> None:
    """Print both medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="models")
    parser.add_argument("--pictures", type=int, default=40)
    asked = parser.parse_args()
    chain, name = load_chain(asked.model)
    weights = [dict.fromkeys(names, 1.0) for names in (MASK_TYPES, FABRICS, WEARS)]
    ours, theirs = [], []
    for index in range(asked.pictures + _WARM_UP):
        face = Sampled(0, index, _SIDE).read()
        masked = put_on(
            face.image,
            face.landmarks,
            np.random.default_rng(index),
            types=weights[0],
            fabrics=weights[1],
            wear=weights[2],
        )
        start = time.perf_counter()
        chain.restore(masked.image)
        middle = time.perf_counter()
        telea(masked.image, masked.mask)
        ours.append(1000 * (middle - start))
        theirs.append(1000 * (time.perf_counter() - middle))
    chain_ms, telea_ms = (float(np.median(times[_WARM_UP:])) for times in (ours, theirs))
    ratio = chain_ms / telea_ms
    print(f"{name}: {chain_ms:.0f} ms a picture, {ratio:.0f} times as long as Telea's fill alone")


if __name__ == "__main__":
    main()
