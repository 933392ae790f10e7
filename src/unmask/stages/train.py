"""Stage `train@NAME`: train one network and store it."""

import logging
import sys

from unmask.config.params import load_params
from unmask.errors import exit_with_message
from unmask.project import in_project
from unmask.training.train import train_network


@exit_with_message
def main() -> None:
    """The stage as DVC runs it, in the folder of params.yaml."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    name = sys.argv[1]
    train_network(name, load_params(), in_project("data/masked"), in_project("models"))


if __name__ == "__main__":
    main()
