import csv
import json

from unmask.evaluation.slices import SLICE_COLUMNS
from unmask.networks import RELEASED
from unmask.registry.card import model_card

SCORES = {
    "hole_psnr": 20.5,
    "hole_ssim": 0.6,
    "hole_l1": 0.07,
    "perceptual": 0.584,
    "sharpness": 0.514,
    "picture_psnr": 27.75,
    "picture_ssim": 0.89,
    "frechet": 9.9,
}


def test_the_card_shows_every_figure_of_chain_baselines_and_slices(tmp_path):
    chain = {"mask_iou": 0.9, "mask_boundary_iou": 0.8, "nme": 0.03, "bare_restored": 0.0}
    chain |= {"replaced_beyond": 0.11, "mask_missed": 0.0005}
    scores = {
        "faces": 40,
        "chain": SCORES | chain,
        "baselines": {"telea": SCORES | {"sharpness": 0.42}},
    }
    (tmp_path / "metrics.json").write_text(json.dumps(scores))
    (tmp_path / "plots").mkdir()
    with (tmp_path / "plots" / "slices.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, SLICE_COLUMNS)
        writer.writeheader()
        row = dict.fromkeys(SLICE_COLUMNS, 1.5) | {"slice": "mask_type=surgical"}
        writer.writerow(row | {"picture_psnr": 28.25, "sharpness": None})
    lines = model_card(RELEASED, tmp_path).splitlines()
    (header,) = (line for line in lines if line.startswith("| fill |"))
    assert "| perceptual distance | sharpness | picture PSNR, dB | picture SSIM |" in header
    (whole,) = (line for line in lines if line.startswith("| whole chain |"))
    assert "| 0.584 | 0.514 | 27.75 | 0.89 |" in whole
    (telea,) = (line for line in lines if line.startswith("| telea |"))
    assert "| 0.42 |" in telea
    (surgical,) = (line for line in lines if line.startswith("| mask_type=surgical |"))
    cells = dict.fromkeys(SLICE_COLUMNS, "1.5") | {"slice": "mask_type=surgical"}
    cells |= {"picture_psnr": "28.25", "sharpness": ""}
    assert surgical == f"| {' | '.join(cells.values())} |"
