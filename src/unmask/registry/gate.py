"""The gate: may a challenger replace the champion? A pure function that gives its reasons."""

import math
from dataclasses import dataclass

import numpy as np

from unmask.config.params import Gate
from unmask.registry.bootstrap import lower_bound, upper_bounds

_NAMES = {"perceptual": "perceptual distance", "hole_psnr": "hole PSNR"}


@dataclass(frozen=True)
class GateScores:
    """A model's scores on the gate set.

    Attributes:
        hole_psnr: (N,) dB, face by face in the eval_set's order.
        perceptual: (N,) distance; a loss, not a quality.
        mask_iou, nme: (N,) in [0, 1]; an error for nme.
        gender_right: (N,) 1 or 0; NaN where the source does not say.
        bare_restored: share of faces without a mask that are altered all the same.
        sharpness: of all holes, as a share of the true ones'.
        over_mean_face, over_telea: hole PSNR above the baseline's, dB.
        groups: indices (M,) of the faces of each slice.
        seconds: (P,) of P pictures that both models restored in turn.
    """

    hole_psnr: np.ndarray
    perceptual: np.ndarray
    mask_iou: np.ndarray
    nme: np.ndarray
    gender_right: np.ndarray
    sharpness: float
    over_mean_face: float
    over_telea: float
    bare_restored: float
    groups: dict[str, np.ndarray]
    seconds: np.ndarray

    def figures(self) -> dict[str, float]:
        """The means by name; NaN where nothing was measured."""
        arrays = {
            "hole_psnr": self.hole_psnr,
            "perceptual": self.perceptual,
            "mask_iou": self.mask_iou,
            "nme": self.nme,
            "gender_accuracy": self.gender_right[~np.isnan(self.gender_right)],
        }
        return {
            **{name: float(a.mean()) if a.size else math.nan for name, a in arrays.items()},
            "sharpness": self.sharpness,
            "hole_psnr_over_mean_face": self.over_mean_face,
            "hole_psnr_over_telea": self.over_telea,
            "bare_restored": self.bare_restored,
            "seconds": float(np.median(self.seconds)) if self.seconds.size else math.nan,
        }


@dataclass(frozen=True)
class Reason:
    """One rule, whether it holds, and the figures behind it."""

    rule: str
    holds: bool
    text: str


@dataclass(frozen=True)
class Verdict:
    """Whether to promote: when every rule holds."""

    reasons: tuple[Reason, ...]

    @property
    def promote(self) -> bool:
        return all(reason.holds for reason in self.reasons)

    @property
    def summary(self) -> str:
        """One line: 'promoted', or 'refused' with the rules that do not hold."""
        failed = [reason.text for reason in self.reasons if not reason.holds]
        return "promoted" if not failed else "refused: " + "; ".join(failed)

    def as_json(self) -> dict:
        """For the version's tag."""
        return {
            "promote": self.promote,
            "summary": self.summary,
            "reasons": [vars(reason) for reason in self.reasons],
        }


def _floor(name: str, value: float, floor: float, *, ceiling: bool = False) -> Reason:
    holds = bool(math.isfinite(value) and (value <= floor if ceiling else value >= floor))
    bound = "at most" if ceiling else "at least"
    shown = f"{value:.4g}" if math.isfinite(value) else "is missing or not finite"
    return Reason(f"floor {name}", holds, f"{name} {shown}, {bound} {floor:.4g} wanted")


def _band(name: str, value: float, least: float, most: float) -> Reason:
    shown = f"{value:.4g}" if math.isfinite(value) else "is missing or not finite"
    text = f"{name} {shown}, {least:.4g} to {most:.4g} wanted"
    return Reason(f"floor {name}", bool(least <= value <= most), text)


def _floors(scores: GateScores, params: Gate) -> list[Reason]:
    floors, found = params.floors, scores.figures()
    over = "hole PSNR over"
    return [
        _floor("mask IoU", found["mask_iou"], floors.mask_iou),
        _floor("NME", found["nme"], floors.nme, ceiling=True),
        _floor("gender accuracy", found["gender_accuracy"], floors.gender_accuracy),
        _floor(f"{over} mean face", scores.over_mean_face, floors.hole_psnr_over_mean_face),
        _floor(f"{over} Telea", scores.over_telea, floors.hole_psnr_over_telea),
        _floor("bare faces altered", scores.bare_restored, floors.bare_restored, ceiling=True),
        _band("sharpness", scores.sharpness, *floors.sharpness),
    ]


def _gained(
    challenger: GateScores, champion: GateScores, metric: str, faces: np.ndarray
) -> np.ndarray:
    """What the faces (M,) gained, (M,).

    Of hole PSNR in dB; of the perceptual distance what it fell by, as a share of the champion's
    mean on these faces. A champion without any distance cannot be beaten: that share is not finite.
    """
    change = getattr(challenger, metric)[faces] - getattr(champion, metric)[faces]
    if metric == "hole_psnr":
        return change
    with np.errstate(divide="ignore", invalid="ignore"):
        return -change / champion.perceptual[faces].mean()


@dataclass(frozen=True)
class _Change:
    """What the faces `members` (M,) gained, (M,); they may lose `tolerance` in the mean."""

    rule: str
    name: str
    members: np.ndarray
    gained: np.ndarray
    tolerance: float

    def reason(self, bound: float, params: Gate) -> Reason:
        mean = float(self.gained.mean()) if self.gained.size else math.nan
        holds = math.isfinite(mean) and (mean >= -self.tolerance or bound >= 0)
        return Reason(
            self.rule,
            bool(holds),
            f"{self.name} {mean:+.3f} on {len(self.members)} faces, at best {bound:+.3f} at "
            f"{params.loss_confidence:.0%} confidence, a loss over {self.tolerance:.3g} wants "
            "chance to explain it",
        )


def _changes(challenger: GateScores, champion: GateScores, params: Gate) -> list[_Change]:
    primary = params.primary
    accuracy = challenger.gender_right - champion.gender_right
    everyone = np.arange(len(accuracy))
    known = everyone[~np.isnan(champion.gender_right)]
    means = [
        ("mask IoU", everyone, challenger.mask_iou - champion.mask_iou, params.mask_iou_tolerance),
        ("NME", everyone, champion.nme - challenger.nme, params.nme_tolerance),
        ("gender accuracy", known, accuracy[known], params.gender_accuracy_tolerance),
    ]
    if primary != "hole_psnr":
        psnr = _gained(challenger, champion, "hole_psnr", everyone)
        means.insert(0, ("hole PSNR", everyone, psnr, params.hole_psnr_tolerance))
    return [
        *(_Change(f"not worse {name}", f"gain in {name}", *rest) for name, *rest in means),
        *(
            _Change(
                f"slice {name}",
                f"gain in {_NAMES[primary]} of {name}",
                group,
                _gained(challenger, champion, primary, group),
                getattr(params.slice_tolerance, primary),
            )
            for name, group in challenger.groups.items()
            if len(group) >= params.minimum_slice
        ),
    ]


def _not_worse(challenger: GateScores, champion: GateScores, params: Gate) -> list[Reason]:
    changes = _changes(challenger, champion, params)
    sound = [c for c in changes if c.gained.size and np.isfinite(c.gained).all()]
    bounds = dict.fromkeys((c.rule for c in changes), math.nan)
    if sound:
        gained, members = [c.gained for c in sound], [c.members for c in sound]
        faces = len(challenger.hole_psnr)
        found = upper_bounds(gained, members, faces, params.loss_confidence, params.resamples)
        bounds |= {c.rule: float(b) for c, b in zip(sound, found, strict=True)}
    return [change.reason(bounds[change.rule], params) for change in changes]


def _better(challenger: GateScores, champion: GateScores, params: Gate) -> Reason:
    name, everyone = _NAMES[params.primary], np.arange(len(challenger.hole_psnr))
    gained = _gained(challenger, champion, params.primary, everyone)
    finite = np.isfinite(gained).all()
    bound = lower_bound(gained, params.confidence, params.resamples) if finite else math.nan
    unit, digits = ("dB", 3) if params.primary == "hole_psnr" else ("of the champion's", 4)
    return Reason(
        "better",
        bool(bound > 0),
        f"{name} better by {gained.mean():+.{digits}f} {unit}, of which {bound:+.{digits}f} at "
        f"{params.confidence:.0%} confidence, more than 0 wanted",
    )


def _latency(challenger: GateScores, champion: GateScores, params: Gate) -> Reason:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = float(np.median(challenger.seconds / champion.seconds))
    return Reason(
        "latency",
        bool(math.isfinite(ratio) and ratio <= params.latency_ratio),
        f"takes {ratio:.2f} times as long, at most {params.latency_ratio:.2f} wanted",
    )


def judge(challenger: GateScores, champion: GateScores | None, params: Gate) -> Verdict:
    """Judge a challenger by absolute floors and, where there is one, against the champion.

    Against a champion it must be better on the primary metric with the confidence asked for, lose
    on it in no slice, and in no other mean, by more than the tolerance, unless chance explains the
    loss, and not be slower than the ratio. Slices of too few faces are not judged. A figure that is
    missing or not finite fails, and so do too few faces.
    """
    faces = len(challenger.hole_psnr)
    enough = f"{faces} faces were scored, at least {params.minimum_faces} wanted"
    reasons = [Reason("faces", faces >= params.minimum_faces, enough)]
    if not faces:
        return Verdict(tuple(reasons))
    each = (challenger.hole_psnr, challenger.perceptual, challenger.seconds)
    finite = np.isfinite(np.concatenate(each)).all()
    text = "hole PSNR, perceptual distance and time of every face are numbers"
    reasons.append(Reason("finite", bool(finite), text))
    reasons += _floors(challenger, params)
    if champion is None:
        return Verdict(tuple(reasons))
    if challenger.hole_psnr.shape != champion.hole_psnr.shape:
        raise ValueError("both models must be scored on the same faces")
    reasons.append(_better(challenger, champion, params))
    reasons += _not_worse(challenger, champion, params)
    reasons.append(_latency(challenger, champion, params))
    return Verdict(tuple(reasons))
