"""Prefect flows; the only code that imports prefect."""

import os

from unmask.errors import exit_where_an_extra_is_missing

_SETTINGS = {
    # Without a server Prefect starts one for the run, which is slow at first on a busy machine.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    # A server whose database is down answers 500: retry for about 4 minutes, as MLflow does.
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
    "PREFECT_CLIENT_MAX_RETRIES": "7",
}
for name, value in _SETTINGS.items():
    os.environ.setdefault(name, value)
exit_where_an_extra_is_missing("ops")
