"""Prefect flows; the only code that imports prefect."""

import os

_SETTINGS = {
    # Without a server Prefect starts one for the run; the first time, on a busy machine, it needs
    # long.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    # A server whose database is down answers 500: a run waits for it some 4 minutes, as MLflow's
    # clients do.
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
    "PREFECT_CLIENT_MAX_RETRIES": "7",
}
for name, value in _SETTINGS.items():
    os.environ.setdefault(name, value)
