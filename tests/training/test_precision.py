import pytest
import torch

from unmask.training.train import resolved_precision


@pytest.mark.parametrize(
    ("capabilities", "gpu", "precision"),
    [
        ({"avx2": True}, False, "32-true"),
        ({"avx512_f": True, "avx512_bf16": False}, False, "32-true"),
        ({"avx512_f": True, "avx512_bf16": True}, False, "bf16-mixed"),
        ({"avx2": True}, True, "bf16-mixed"),
    ],
)
def test_auto_is_bf16_where_the_processor_computes_in_it(monkeypatch, capabilities, gpu, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert resolved_precision("auto") == precision
    assert resolved_precision("32-true") == "32-true"
    assert resolved_precision("bf16-mixed") == "bf16-mixed"
