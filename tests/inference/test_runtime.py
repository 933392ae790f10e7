import json
import shutil

import numpy as np
import onnxruntime
import pytest

from unmask.errors import UnmaskError
from unmask.inference.runtime import PROVIDER, THREADS, OnnxNetwork
from unmask.networks import METADATA, ONNX, RELEASED


@pytest.fixture
def stored(tmp_path):
    """A copy of a released network."""
    shutil.copytree(RELEASED / "gender", tmp_path / "gender")
    return tmp_path / "gender"


def test_the_same_input_gives_the_same_answer_in_every_session(stored):
    images = np.random.default_rng(0).random((2, 3, 128, 128), np.float32)
    answers = [OnnxNetwork(stored)(images=images) for _ in range(2)]
    for one, other in zip(*answers, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_missing_file_is_named(stored):
    (stored / METADATA).unlink()
    with pytest.raises(UnmaskError, match=r"metadata\.json is missing: run `dvc repro`"):
        OnnxNetwork(stored)


def test_a_network_of_before_the_onnx_files_is_named_with_what_to_do(stored):
    (stored / ONNX).unlink()
    with pytest.raises(UnmaskError, match=r"model\.onnx is missing.*`unmask models upgrade"):
        OnnxNetwork(stored)


def test_a_damaged_file_is_named(stored):
    (stored / ONNX).write_bytes((stored / ONNX).read_bytes()[:-1])
    with pytest.raises(UnmaskError, match=r"model\.onnx is damaged"):
        OnnxNetwork(stored)
    (stored / METADATA).write_text(json.dumps({}))
    with pytest.raises(UnmaskError, match=r"model\.onnx"):
        OnnxNetwork(stored)


def test_a_provider_that_cannot_be_used_is_named_with_what_to_do(stored, monkeypatch):
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime-gpu is installed")
    monkeypatch.setenv(PROVIDER, "cuda")
    with pytest.raises(UnmaskError, match=r"UNMASK_PROVIDER=cuda needs .* onnxruntime-gpu"):
        OnnxNetwork(stored)
    monkeypatch.setenv(PROVIDER, "tpu")
    with pytest.raises(UnmaskError, match="UNMASK_PROVIDER is 'tpu': set it to cpu or cuda"):
        OnnxNetwork(stored)


def test_threads_are_those_asked_for_or_of_the_environment(stored, monkeypatch):
    def threads(asked: int | None = None) -> int:
        return OnnxNetwork(stored, asked)._session.get_session_options().intra_op_num_threads

    monkeypatch.delenv(THREADS, raising=False)
    assert threads() == 1
    monkeypatch.setenv(THREADS, "3")
    assert (threads(), threads(2)) == (3, 2)
    for wrong in ("0", "-1", "many"):
        monkeypatch.setenv(THREADS, wrong)
        with pytest.raises(UnmaskError, match=r"UNMASK_THREADS is .*: set it to a number from 1"):
            threads()
