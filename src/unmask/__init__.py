"""Reconstruct the face under a face mask."""

import os

# Libraries read these at import: no version check, no telemetry, nothing touches the network, and
# NumPy computes with one thread, since more wait actively and take the cores of other processes.
for _name, _value in {
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "1",
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime's, which is on by default
    "OPENBLAS_NUM_THREADS": "1",
}.items():
    os.environ.setdefault(_name, _value)

__version__ = "0.2.0"
