"""Runs the training stage of one network, in as many processes as torchrun starts.

Usage: ddp_stage.py NETWORK, in a folder with params.yaml, data/masked and models
"""

import os
import sys
from functools import partial

from unmask.stages.train import main
from unmask.training import train

if __name__ == "__main__":
    train.make_trainer = partial(train.make_trainer, processes=int(os.environ["WORLD_SIZE"]))
    sys.exit(main())
