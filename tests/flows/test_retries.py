import sys

import httpx
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, TEMPORARILY_UNAVAILABLE
from prefect import flow
from prefect.testing.utilities import prefect_test_harness

from flows.retries import RETRY_POLICY, is_temporary
from flows.stages import StageError, _stream
from unmask.errors import TEMPORARY, UnmaskError
from unmask.retraining.clone import CloneError, RemoteError
from unmask.store import StoreAwayError


def test_only_what_is_temporary_is_tried_again():
    temporary = [StoreAwayError("no answer"), RemoteError("no answer"), ConnectionResetError()]
    temporary += [httpx.ConnectError("no answer"), MlflowException("x", TEMPORARILY_UNAVAILABLE)]
    assert all(map(is_temporary, temporary))
    wrong = [
        UnmaskError("x"),
        CloneError("x"),
        MlflowException("x", BAD_REQUEST),
        ValueError(),
        OSError(),
    ]
    assert not any(map(is_temporary, wrong))
    stage = ["dvc", "repro"]
    assert is_temporary(StageError(stage, 255, ["ERROR: failed to run: x, exited with 75"]))
    assert not is_temporary(StageError(stage, 255, ["ERROR: failed to run: x, exited with 1"]))
    assert RETRY_POLICY["retries"] > 0


@pytest.mark.server
def test_a_command_that_fails_is_told_with_its_last_lines(tmp_path):
    code = f"import sys;print('one');print('exited with {TEMPORARY}');sys.exit(3)"

    @flow
    def failing() -> None:
        _stream([sys.executable, "-c", code], tmp_path)

    with prefect_test_harness(server_startup_timeout=180), pytest.raises(StageError) as told:
        failing()
    assert str(told.value).endswith(f"ended with 3: one | exited with {TEMPORARY}")
    assert is_temporary(told.value)
