"""The exported networks answer as those they were exported from."""

from functools import cache

import cv2
import numpy as np
import onnx
import pytest
import torch

from unmask.config.params import NETWORKS, Params
from unmask.faces.sources import Sampled
from unmask.inference.runtime import OnnxNetwork
from unmask.masking import FABRICS, MASK_TYPES, WEARS, put_on
from unmask.models import build
from unmask.models.export import OPSET, export
from unmask.models.stored import load_network, save_network
from unmask.networks import ONNX, RELEASED

# of landmarks pixels, of all else shares
TOLERANCE = {"gender": 1e-4, "landmarks": 2e-3, "segmentation": 5e-4, "inpainting": 1e-4}
INPUTS = {"gender": 1, "landmarks": 1, "segmentation": 1, "inpainting": 5}


@cache
def crops(size: int) -> np.ndarray:
    """Crops (N, 3, S, S): two masked faces, two bare ones, tiny ones, grey, black and noise."""
    pictures = []
    for index in range(2):
        face = Sampled(4, index, size).read()
        worn = put_on(
            face.image,
            face.landmarks,
            np.random.default_rng(index),
            types=dict.fromkeys(MASK_TYPES, 1.0),
            fabrics=dict.fromkeys(FABRICS, 1.0),
            wear=dict.fromkeys(WEARS, 1.0),
        )
        tiny = np.zeros_like(worn.image)
        tiny[: size // 8, : size // 8] = cv2.resize(worn.image, (size // 8, size // 8))
        pictures += [worn.image, face.image, tiny]
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3)).astype(np.uint8)
    pictures += [np.full_like(noise, 127), np.zeros_like(noise), noise]
    return np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32) / 255


def inputs_of(name: str, size: int, latent: int) -> dict[str, np.ndarray]:
    images = crops(size)
    if name != "inpainting":
        return {"images": images}
    rng, count = np.random.default_rng(1), len(images)
    hole = np.zeros((count, 1, size, size), np.float32)
    hole[:, :, size // 2 :] = 1
    return {
        "images": images,
        "hole": hole,
        "landmarks": rng.uniform(0, size, (count, 68, 2)).astype(np.float32),
        "gender": np.where(np.arange(count) % 3, 0.5, np.nan).astype(np.float32),
        "latent": rng.standard_normal((count, latent), np.float32),
    }


@pytest.mark.parametrize("name", NETWORKS)
def test_a_released_network_answers_as_its_export(name):
    network, exported = load_network(RELEASED / name), OnnxNetwork(RELEASED / name)
    assert exported.image_size == network.image_size
    assert exported.weights_md5 == network.weights_md5
    given = inputs_of(name, exported.image_size, exported.latent)
    with torch.inference_mode():
        expected = network(*(torch.from_numpy(value) for value in given.values()))
    expected = expected if isinstance(expected, tuple) else (expected,)
    one_by_one = [
        exported(**{key: value[index : index + 1] for key, value in given.items()})
        for index in range(len(given["images"]))
    ]
    answers = [np.concatenate(parts) for parts in zip(*one_by_one, strict=True)]
    for answer, wanted in zip(answers, expected, strict=False):
        np.testing.assert_allclose(answer, wanted.numpy(), atol=TOLERANCE[name])
    if name == "segmentation":
        assert (answers[1][:6:3] > 0.5).all()  # the masked faces
        assert (answers[1] == 0).any()
    else:
        together = exported(**given)
        for answer, alone in zip(together, answers, strict=True):
            np.testing.assert_allclose(answer, alone, atol=TOLERANCE[name])


@pytest.mark.parametrize("name", NETWORKS)
def test_a_fresh_network_is_exported_beside_its_weights(name, smoke: Params, tmp_path):
    section = getattr(smoke.train, name)
    network = build(name, section).eval()
    save_network(network, name, section.model_dump(mode="json"), {}, tmp_path / name)
    assert not network.training
    model = onnx.load(tmp_path / name / ONNX)
    assert [entry.version for entry in model.opset_import if not entry.domain] == [OPSET]
    assert len(model.graph.input) == INPUTS[name]
    exported = OnnxNetwork(tmp_path / name)
    given = inputs_of(name, section.image_size, exported.latent)
    first = {key: torch.from_numpy(value[:1]) for key, value in given.items()}
    with torch.inference_mode():
        expected = network(*first.values())
    answers = exported(**{key: value.numpy() for key, value in first.items()})
    expected = expected if isinstance(expected, tuple) else (expected,)
    for answer, wanted in zip(answers, expected, strict=False):
        np.testing.assert_allclose(answer, wanted.numpy(), atol=TOLERANCE[name])


class Unmovable:
    """What a training's hooks hold: the data, which is not to be copied."""

    def hook(self, *_: object) -> None:
        """Look on."""

    def __deepcopy__(self, _: dict) -> "Unmovable":
        raise AssertionError("the data was copied")


def test_what_watches_a_network_is_not_stored_with_it(smoke: Params, tmp_path):
    network = build("gender", smoke.train.gender).eval()
    network.register_forward_hook(Unmovable().hook)
    section = smoke.train.gender.model_dump(mode="json")
    save_network(network, "gender", section, {}, tmp_path / "gender")
    assert (tmp_path / "gender" / ONNX).is_file()


def test_weights_that_float16_holds_take_half_the_bytes(smoke: Params, tmp_path):
    network = build("gender", smoke.train.gender).eval()
    export(network, 64, "", tmp_path / "whole.onnx")
    export(network.half(), 64, "", tmp_path / "half.onnx")
    sizes = [(tmp_path / file).stat().st_size for file in ("half.onnx", "whole.onnx")]
    assert sizes[0] < 0.6 * sizes[1]
