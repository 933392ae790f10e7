"""What tests of flows share."""

from collections.abc import Iterator

import pytest
from prefect.testing.utilities import prefect_test_harness


@pytest.fixture(scope="module")
def prefect_server() -> Iterator[None]:
    """A real Prefect server of the module's own, which its flows and clients talk to."""
    with prefect_test_harness(server_startup_timeout=180):
        yield
