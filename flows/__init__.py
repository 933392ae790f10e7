"""Prefect flows; the only code that imports prefect."""

import os

# Without a server Prefect starts one for the run; the first time, on a busy machine, it needs long.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
