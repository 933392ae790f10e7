"""Runs the training stage of one network, in as many processes as torchrun starts.

Usage: ddp_stage.py NETWORK, in a folder with params.yaml, data/masked and models
"""

import os
import sys
from functools import partial

from unmask.training import train as stage

if __name__ == "__main__":
    stage.make_trainer = partial(stage.make_trainer, processes=int(os.environ["WORLD_SIZE"]))
    sys.exit(stage.main())
