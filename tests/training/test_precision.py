import pytest
import torch

from unmask.training.stage import resolved_precision


@pytest.mark.parametrize(
    ("capability", "gpu", "precision"),
    [("AVX2", False, "32-true"), ("AVX512", False, "bf16-mixed"), ("AVX2", True, "bf16-mixed")],
)
def test_auto_is_bf16_where_the_processor_computes_in_it(monkeypatch, capability, gpu, precision):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    assert resolved_precision("auto") == precision
    assert resolved_precision("32-true") == "32-true"
    assert resolved_precision("bf16-mixed") == "bf16-mixed"
