"""How often the gate is right: promotions and refusals of challengers whose gains are known.

    python benchmarks/gate_power.py [--faces 196] [--spread 1.5] [--trials 400]

Gains are drawn face by face, in slices as large as those of profile cpu's gate split; champion and
challenger are equal in all but the primary metric. A gain of 1 is 1 dB where that is hole PSNR, and
10 % of the champion's distance where it is the perceptual one: so either tolerance of a slice is
0.5. `--spread` is the standard deviation of the gains.
"""

import argparse
from pathlib import Path

import numpy as np

from unmask.config.params import Gate, load_params
from unmask.registry.gate import GateScores, judge

# shares of the gate split of profile cpu
_LABELS = {
    "gender": {"female": 0.53, "male": 0.47},
    "ethnicity": {"white": 0.33, "black": 0.24, "indian": 0.17, "asian": 0.15, "other": 0.11},
    "age": {"16-29": 0.33, "30-44": 0.24, "60-120": 0.18, "45-59": 0.14, "0-15": 0.11},
    "mask_type": {"surgical": 0.32, "cloth": 0.25, "kn95": 0.15, "sponge": 0.1, "gaiter": 0.18},
    "wear": {"proper": 0.8, "slipped": 0.12, "nose_out": 0.08},
    "yaw": {"0-10": 0.7, "10-25": 0.3},
}


def _groups(faces: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    groups = {}
    for label, shares in _LABELS.items():
        drawn = rng.choice(list(shares), faces, p=list(shares.values()))
        groups |= {f"{label}={value}": np.flatnonzero(drawn == value) for value in shares}
    return groups


def _scores(
    gain: np.ndarray, primary: str, groups: dict[str, np.ndarray], right: np.ndarray
) -> GateScores:
    same = np.full(len(gain), 0.9)
    return GateScores(
        hole_psnr=20 + gain * (primary == "hole_psnr"),
        perceptual=0.6 * (1 - 0.1 * gain * (primary == "perceptual")),
        mask_iou=same,
        nme=same / 20,
        gender_right=right,
        sharpness=1.0,
        over_mean_face=9.0,
        over_telea=9.0,
        bare_restored=0.0,
        groups=groups,
        seconds=np.ones(9),
    )


def _share(gain: float, worse: dict[str, float], asked: argparse.Namespace, gate: Gate) -> dict:
    """Shares of trials that were promoted, found better, kept all slices, and kept the worse one.

    Args:
        gain: what all faces gain in the mean.
        worse: what the faces of some slices change by instead.
    """
    rng, found = np.random.default_rng(0), []
    for _ in range(asked.trials):
        groups = _groups(asked.faces, rng)
        mean = np.full(asked.faces, gain)
        for name, change in worse.items():
            mean[groups[name]] = change
        noise = rng.standard_t(5, asked.faces) * np.sqrt(3 / 5) * asked.spread
        right = [(rng.random(asked.faces) < 0.9).astype(float) for _ in range(2)]
        champion = _scores(np.zeros(asked.faces), gate.primary, groups, right[0])
        mixed = np.where(rng.random(asked.faces) < 0.8, right[0], right[1])
        verdict = judge(_scores(mean + noise, gate.primary, groups, mixed), champion, gate)
        holds = {reason.rule: reason.holds for reason in verdict.reasons}
        slices = [h for rule, h in holds.items() if rule.startswith(("slice", "not worse"))]
        mine = all(holds.get(f"slice {name}", True) for name in worse)
        found.append((verdict.promote, holds["better"], all(slices), mine))
    return dict(zip(("promoted", "better", "kept", "mine"), np.mean(found, axis=0), strict=True))


def main() -> None:
    """Print a line a challenger."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=196)
    parser.add_argument("--spread", type=float, default=1.5)
    parser.add_argument("--trials", type=int, default=400)
    asked = parser.parse_args()
    gate = load_params(Path("params.yaml")).gate
    print(f"{asked.faces} faces, {gate.primary}, spread {asked.spread}, {asked.trials} trials")
    print(f"{'challenger':<46} promoted  better  nothing worse  the worse slice refused")
    challengers = [
        ("equal", 0.0, {}),
        ("+0.2", 0.2, {}),
        ("+0.3", 0.3, {}),
        ("+0.5", 0.5, {}),
        ("+1, women -0.5", 1.0, {"gender=female": -0.5}),
        ("+2, women -1", 2.0, {"gender=female": -1.0}),
        ("+0.5, asian (15 %) -1", 0.5, {"ethnicity=asian": -1.0}),
        ("+0.5, other (11 %) -1", 0.5, {"ethnicity=other": -1.0}),
        ("+0.5, nose out (8 %) -1", 0.5, {"wear=nose_out": -1.0}),
        ("+0.5, nose out (8 %) -2", 0.5, {"wear=nose_out": -2.0}),
    ]
    for name, gain, worse in challengers:
        share = _share(gain, worse, asked, gate)
        refused = f"{1 - share['mine']:.3f}" if worse else "-"
        print(
            f"{name:<46} {share['promoted']:8.3f} {share['better']:7.3f} {share['kept']:14.3f}  "
            f"{refused}"
        )


if __name__ == "__main__":
    main()
