"""Where runs and models are kept, known without opening the store."""

import os
from pathlib import Path


def project_root() -> Path:
    """The folder of dvc.yaml at or above the working directory, else the working directory."""
    here = Path.cwd().resolve()
    return next((p for p in (here, *here.parents) if (p / "dvc.yaml").is_file()), here)


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, else the project's own database under an absolute path."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{project_root() / 'mlflow.db'}"


def has_store() -> bool:
    """Whether there is a store to open, or one is named, so that none need be made to read it."""
    named = bool(os.environ.get("MLFLOW_TRACKING_URI"))
    return named or (project_root() / "mlflow.db").is_file()
