"""A Gaussian per class of (gender, ethnicity, age band), fitted to partly labelled faces."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2, vq

AGE_BANDS = ((3, 12), (13, 19), (20, 29), (30, 44), (45, 59), (60, 90))  # years, both included
_CLASS_SHRINKAGE = 25.0  # faces that a prior mean counts as
_ROUNDS = 4  # of expectation-maximisation
_FACES_PER_STYLE, _MOST_STYLES = 80, 28


class FaceLabels(NamedTuple):
    """Labels of a face, None where unknown; `band` is an index into AGE_BANDS."""

    gender: str | None
    ethnicity: str | None
    band: int | None

    @classmethod
    def of(cls, gender: str | None, age: int | None, ethnicity: str | None) -> FaceLabels:
        """Labels of a face whose age is known in years.

        Args:
            gender: 'male' or 'female'.
            age: in years; the first and last band include all younger and older ages.
            ethnicity: as the source names it.
        """
        if age is None:
            return cls(gender, ethnicity, None)
        starts = [low for low, _ in AGE_BANDS]
        return cls(gender, ethnicity, max(int(np.searchsorted(starts, age, "right")) - 1, 0))

    def allows(self, other: FaceLabels) -> bool:
        """Whether a face with these labels can belong to the class `other`."""
        return all(a is None or a == b for a, b in zip(self, other, strict=True))


@dataclass(frozen=True)
class ClassMixture:
    """Gaussians of codes (k,), with means by class and hair style, and covariances by gender.

    Attributes:
        classes: labels of the c classes.
        share: (c,) share of the faces in each class.
        means: (c, k).
        gender_of: (c,) index of each class's gender, 0 to g - 1.
        styles: (g, s, k) offsets of the styles from the class means.
        style_share: (c, s) weight of each style within a class.
        roots: (g, k, k); `roots[i] @ roots[i].T` is the covariance about class mean plus style.
    """

    classes: list[FaceLabels]
    share: NDArray[np.float32]
    means: NDArray[np.float32]
    gender_of: NDArray[np.int8]
    styles: NDArray[np.float32]
    style_share: NDArray[np.float32]
    roots: NDArray[np.float32]

    def sample(
        self, rng: np.random.Generator, temperature: float
    ) -> tuple[FaceLabels, NDArray[np.float32]]:
        """Labels and a code (k,); genders are equally likely, the covariance x `temperature`."""
        gender = rng.integers(self.gender_of.max() + 1)
        weights = np.where(self.gender_of == gender, np.sqrt(self.share), 0)
        index = int(rng.choice(len(weights), p=weights / weights.sum()))
        style_weights = self.style_share[index].astype(np.float64)
        style = rng.choice(len(style_weights), p=style_weights / style_weights.sum())
        noise = rng.standard_normal(self.means.shape[1], np.float32)
        code = self.means[index] + self.styles[gender, style]
        code = code + np.float32(np.sqrt(temperature)) * (self.roots[gender] @ noise)
        return self.classes[index], code


def fit_mixture(
    codes: NDArray[np.float32],
    labels: list[FaceLabels],
    style_features: NDArray[np.float32],
    rng: np.random.Generator,
) -> ClassMixture:
    """Fit classes by expectation-maximisation, then hair styles by k-means.

    A face with missing labels belongs partly to every class that its labels allow, in proportion
    to the likelihoods.

    Args:
        codes: (n, k).
        labels: of the n faces.
        style_features: (n, m), what k-means clusters.
        rng: for the start of k-means.
    """
    classes = _classes(labels)
    genders = sorted({str(item.gender) for item in classes})
    gender_of = np.array([genders.index(str(item.gender)) for item in classes], np.int8)
    allows = {label: np.array([label.allows(c) for c in classes], float) for label in set(labels)}
    allowed = np.stack([allows[label] for label in labels])
    certain = allowed.sum(1) == 1
    belonging = allowed / allowed.sum(1, keepdims=True)
    if certain.any():
        belonging = np.where(certain[:, None], allowed, 1e-6 * belonging)
    for _ in range(_ROUNDS):
        share, means, roots = _maximise(codes, belonging, gender_of, len(genders))
        scores = _log_likelihood(codes, means, roots, gender_of) + np.log(share + 1e-9)
        scores = np.where(allowed > 0, scores, -np.inf)
        belonging = np.exp(scores - scores.max(1, keepdims=True))
        belonging /= belonging.sum(1, keepdims=True)
    share, means, roots = _maximise(codes, belonging, gender_of, len(genders))
    assigned = belonging.argmax(1)
    residual = codes - means[assigned]
    styles, style_share, roots = _styles(residual, assigned, gender_of, style_features, rng)
    single = (a.astype(np.float32) for a in (styles, style_share, roots))
    return ClassMixture(
        classes, share.astype(np.float32), means.astype(np.float32), gender_of, *single
    )


def _styles(
    residual: NDArray, assigned: NDArray, gender_of: NDArray, features: NDArray,
    rng: np.random.Generator,
) -> tuple[NDArray, NDArray, NDArray]:  # fmt: skip
    """Offsets (g, s, k), weights (c, s) and covariance roots (g, k, k) of styles.

    `residual` (n, k) are codes less the means of their classes, `assigned` (n,) those classes.
    """
    genders, width = int(gender_of.max()) + 1, residual.shape[1]
    count = int(np.clip(len(residual) // (genders * _FACES_PER_STYLE), 1, _MOST_STYLES))
    styles = np.zeros((genders, count, width))
    share = np.zeros((len(gender_of), count))
    roots = np.zeros((genders, width, width))
    for gender in range(genders):
        rows = np.flatnonzero(gender_of[assigned] == gender)
        centres, _ = kmeans2(features[rows], count, minit="++", rng=rng)
        style = vq(features[rows], centres)[0]
        unexplained = residual[rows].copy()
        for cluster in range(count):
            members = style == cluster
            styles[gender, cluster] = unexplained[members].sum(0) / (
                members.sum() + _CLASS_SHRINKAGE
            )
        unexplained -= styles[gender, style]
        roots[gender] = _root(unexplained.T @ unexplained / max(len(rows), 1), len(rows))
        usual = np.bincount(style, minlength=count) / max(len(rows), 1)
        for index in np.flatnonzero(gender_of == gender):
            own = np.bincount(style[assigned[rows] == index], minlength=count)
            share[index] = own + _CLASS_SHRINKAGE * usual
    return styles, share, roots


def _classes(labels: list[FaceLabels]) -> list[FaceLabels]:
    """All complete labels, and any partial ones that no complete ones agree with."""
    counts = Counter(labels)
    complete = [item for item in counts if None not in item]
    unmatched = [item for item in counts if not any(item.allows(c) for c in complete)]
    return sorted(complete + unmatched, key=str)


def _maximise(
    codes: NDArray, belonging: NDArray, gender_of: NDArray, genders: int
) -> tuple[NDArray, NDArray, NDArray]:
    """Shares (c,), means (c, k) and covariance roots (g, k, k), by faces' belonging (n, c)."""
    count = belonging.sum(0)
    overall = codes.mean(0)
    means = np.empty((len(count), codes.shape[1]))
    roots = np.empty((genders, codes.shape[1], codes.shape[1]))
    for gender in range(genders):
        members = np.flatnonzero(gender_of == gender)
        of_gender = belonging[:, members].sum(1)
        total = of_gender.sum()
        prior = (of_gender @ codes + _CLASS_SHRINKAGE * overall) / (total + _CLASS_SHRINKAGE)
        sums = belonging[:, members].T @ codes + _CLASS_SHRINKAGE * prior
        means[members] = sums / (count[members, None] + _CLASS_SHRINKAGE)
        second = (codes * of_gender[:, None]).T @ codes
        cross = means[members].T @ (belonging[:, members].T @ codes)
        square = (means[members] * count[members, None]).T @ means[members]
        covariance = (second - cross - cross.T + square) / max(total, 1.0)
        roots[gender] = _root(covariance, total)
    return count / count.sum(), means, roots


def _root(covariance: NDArray, count: float) -> NDArray:
    """Cholesky factor of a covariance of `count` rows; few rows shrink the correlations."""
    blend = len(covariance) / (len(covariance) + 20 * count)
    covariance = (1 - blend) * covariance + blend * np.diag(np.diag(covariance))
    ridge = 1e-4 * np.trace(covariance) / len(covariance) + 1e-9
    return np.linalg.cholesky(covariance + ridge * np.eye(len(covariance)))


def _log_likelihood(
    codes: NDArray, means: NDArray, roots: NDArray, gender_of: NDArray
) -> NDArray[np.float64]:
    """Log-likelihoods (n, c) of codes in every class, up to a constant."""
    scores = np.empty((len(codes), len(means)))
    for gender, root in enumerate(roots):
        members = np.flatnonzero(gender_of == gender)
        inverse = np.linalg.inv(root)
        white, centres = codes @ inverse.T, means[members] @ inverse.T
        distance = (white**2).sum(1)[:, None] - 2 * white @ centres.T + (centres**2).sum(1)
        scores[:, members] = -0.5 * distance - np.log(np.diag(root)).sum()
    return scores
