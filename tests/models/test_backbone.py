import math
import os
import subprocess
import sys

import pytest
import torch

from unmask.errors import UnmaskError
from unmask.models import build
from unmask.models.backbone import Backbone, pretrained_classifier

SIZE = 64


def faces() -> torch.Tensor:
    return torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def test_the_packaged_backbone_is_pretrained_without_a_download(smoke):
    torch.manual_seed(0)
    params = smoke.train.gender
    pretrained = build("gender", params, pretrained=True).backbone.network.state_dict()
    fresh = build("gender", params).backbone.network.state_dict()
    assert not torch.equal(pretrained["conv_stem.weight"], fresh["conv_stem.weight"])
    again = pretrained_classifier(params.backbone).state_dict()
    assert torch.equal(pretrained["conv_stem.weight"], again["conv_stem.weight"])
    assert pretrained["bn1.running_var"].std() > 0  # statistics of real pictures


def test_a_backbone_normalises_and_gives_the_levels_asked():
    net = Backbone("tf_efficientnet_lite0", (0, 2), pretrained=False).eval()
    with torch.inference_mode():
        levels = net(faces())
        direct = net.network((faces() - net.mean) / net.std)
    assert [tuple(level.shape) for level in levels] == [
        (2, channels, SIZE // stride, SIZE // stride)
        for channels, stride in zip(net.channels, (2, 8), strict=True)
    ]
    assert torch.equal(levels[1], direct[1])
    assert math.isclose(net.mean.flatten()[0].item(), 0.5, abs_tol=0.02)


@pytest.mark.parametrize(("name", "levels"), [("nonsense", (3, 4)), ("convnext_atto", (3, 4))])
def test_a_backbone_that_does_not_fit_is_refused_in_a_sentence(name, levels):
    with pytest.raises(UnmaskError, match=name) as refused:
        Backbone(name, levels, pretrained=False)
    assert len(str(refused.value).splitlines()) == 1


def test_weights_that_cannot_be_downloaded_are_one_clear_sentence(tmp_path):
    # a fresh process, because the hub's client reads its settings when it is imported
    code = (
        "from unmask.errors import UnmaskError\nfrom unmask.models.backbone import Backbone\n"
        "try:\n    Backbone('resnet10t', (3, 4), pretrained=True)\n"
        "except UnmaskError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    (said,) = done.stdout.splitlines()
    assert "'resnet10t' could not be downloaded" in said
    assert "use tf_efficientnet_lite0" in said
