"""One Gaussian per class of (gender, ethnicity, age band), fitted to partly labelled faces."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2, vq

AGE_BANDS = ((3, 12), (13, 19), (20, 29), (30, 44), (45, 59), (60, 90))
_CLASS_SHRINKAGE = 25.0
_ROUNDS = 4
_FACES_PER_STYLE, _MOST_STYLES = 80, 28


class FaceLabels(NamedTuple):
    """What is known of a face; None is unknown. `band` is an index into AGE_BANDS."""

    gender: str | None
    ethnicity: str | None
    band: int | None

    @classmethod
    def of(cls, gender: str | None, age: int | None, ethnicity: str | None) -> FaceLabels:
        """Labels of a face of `age` years; the first and last band take what is beyond them."""
        if age is None:
            return cls(gender, ethnicity, None)
        starts = [low for low, _ in AGE_BANDS]
        return cls(gender, ethnicity, max(int(np.searchsorted(starts, age, "right")) - 1, 0))

    def allows(self, other: FaceLabels) -> bool:
        """Whether a face with these labels may belong to the class `other`."""
        return all(a is None or a == b for a, b in zip(self, other, strict=True))


@dataclass(frozen=True)
class ClassMixture:
    """Gaussians with means by class and by style (of hair), and covariances by gender.

    share (c,) of each class; means (c, k); which (c,) numbers each class's gender g; styles
    (g, s, k) are offsets from class means; style_share (c, s); `roots[g] @ roots[g].T` (k, k) is
    the covariance about the sum of both means.
    """

    classes: list[FaceLabels]
    share: NDArray[np.float32]
    means: NDArray[np.float32]
    which: NDArray[np.int8]
    styles: NDArray[np.float32]
    style_share: NDArray[np.float32]
    roots: NDArray[np.float32]

    def draw(
        self, rng: np.random.Generator, temperature: float
    ) -> tuple[FaceLabels, NDArray[np.float32]]:
        """A class, genders half and half, and a code (k,) at covariance x `temperature`."""
        gender = rng.integers(self.which.max() + 1)
        odds = np.where(self.which == gender, np.sqrt(self.share), 0)
        index = int(rng.choice(len(odds), p=odds / odds.sum()))
        likely = self.style_share[index].astype(np.float64)
        style = rng.choice(len(likely), p=likely / likely.sum())
        noise = rng.standard_normal(self.means.shape[1], np.float32)
        code = self.means[index] + self.styles[gender, style]
        code = code + np.float32(np.sqrt(temperature)) * (self.roots[gender] @ noise)
        return self.classes[index], code


def fit_mixture(
    codes: NDArray[np.float32],
    labels: list[FaceLabels],
    looks: NDArray[np.float32],
    rng: np.random.Generator,
) -> ClassMixture:
    """Fit classes by expectation-maximisation, then styles by k-means of `looks` (n, m).

    A face with missing labels is shared among the classes that its labels allow, in proportion to
    their likelihood. codes (n, k), labels n of them.
    """
    classes = _classes(labels)
    genders = sorted({str(item.gender) for item in classes})
    which = np.array([genders.index(str(item.gender)) for item in classes], np.int8)
    known = {label: np.array([label.allows(c) for c in classes], float) for label in set(labels)}
    allowed = np.stack([known[label] for label in labels])
    full = allowed.sum(1) == 1
    belonging = allowed / allowed.sum(1, keepdims=True)
    if full.any():
        belonging = np.where(full[:, None], allowed, 1e-6 * belonging)
    for _ in range(_ROUNDS):
        share, means, roots = _maximise(codes, belonging, which, len(genders))
        scores = _log_likelihood(codes, means, roots, which) + np.log(share + 1e-9)
        scores = np.where(allowed > 0, scores, -np.inf)
        belonging = np.exp(scores - scores.max(1, keepdims=True))
        belonging /= belonging.sum(1, keepdims=True)
    share, means, roots = _maximise(codes, belonging, which, len(genders))
    best = belonging.argmax(1)
    styles, style_share, roots = _styles(codes - means[best], best, which, looks, rng)
    single = (a.astype(np.float32) for a in (styles, style_share, roots))
    return ClassMixture(classes, share.astype(np.float32), means.astype(np.float32), which, *single)


def _styles(
    residual: NDArray, best: NDArray, which: NDArray, looks: NDArray, rng: np.random.Generator
) -> tuple[NDArray, NDArray, NDArray]:
    genders, width = int(which.max()) + 1, residual.shape[1]
    count = int(np.clip(len(residual) // (genders * _FACES_PER_STYLE), 1, _MOST_STYLES))
    styles = np.zeros((genders, count, width))
    share = np.zeros((len(which), count))
    roots = np.zeros((genders, width, width))
    for gender in range(genders):
        rows = np.flatnonzero(which[best] == gender)
        centres, _ = kmeans2(looks[rows], count, minit="++", rng=rng)
        style = vq(looks[rows], centres)[0]
        left = residual[rows].copy()
        for one in range(count):
            mine = style == one
            styles[gender, one] = left[mine].sum(0) / (mine.sum() + _CLASS_SHRINKAGE)
        left -= styles[gender, style]
        roots[gender] = _root(left.T @ left / max(len(rows), 1), len(rows))
        usual = np.bincount(style, minlength=count) / max(len(rows), 1)
        for index in np.flatnonzero(which == gender):
            own = np.bincount(style[best[rows] == index], minlength=count)
            share[index] = own + _CLASS_SHRINKAGE * usual
    return styles, share, roots


def _classes(labels: list[FaceLabels]) -> list[FaceLabels]:
    """Complete label sets, and any partial one that no complete set covers."""
    counts = Counter(labels)
    complete = [item for item in counts if None not in item]
    covered = [item for item in counts if not any(item.allows(c) for c in complete)]
    return sorted(complete + covered, key=str)


def _maximise(
    codes: NDArray, belonging: NDArray, which: NDArray, genders: int
) -> tuple[NDArray, NDArray, NDArray]:
    count = belonging.sum(0)
    overall = codes.mean(0)
    means = np.empty((len(count), codes.shape[1]))
    roots = np.empty((genders, codes.shape[1], codes.shape[1]))
    for gender in range(genders):
        members = np.flatnonzero(which == gender)
        held = belonging[:, members].sum(1)
        parent = (held @ codes + _CLASS_SHRINKAGE * overall) / (held.sum() + _CLASS_SHRINKAGE)
        sums = belonging[:, members].T @ codes + _CLASS_SHRINKAGE * parent
        means[members] = sums / (count[members, None] + _CLASS_SHRINKAGE)
        second = (codes * held[:, None]).T @ codes
        cross = means[members].T @ (belonging[:, members].T @ codes)
        square = (means[members] * count[members, None]).T @ means[members]
        covariance = (second - cross - cross.T + square) / max(held.sum(), 1.0)
        roots[gender] = _root(covariance, held.sum())
    return count / count.sum(), means, roots


def _root(covariance: NDArray, count: float) -> NDArray:
    """Cholesky factor of a covariance, its correlations shrunk the more the fewer rows it has."""
    blend = len(covariance) / (len(covariance) + 20 * count)
    covariance = (1 - blend) * covariance + blend * np.diag(np.diag(covariance))
    ridge = 1e-4 * np.trace(covariance) / len(covariance) + 1e-9
    return np.linalg.cholesky(covariance + ridge * np.eye(len(covariance)))


def _log_likelihood(
    codes: NDArray, means: NDArray, roots: NDArray, which: NDArray
) -> NDArray[np.float64]:
    scores = np.empty((len(codes), len(means)))
    for gender, root in enumerate(roots):
        members = np.flatnonzero(which == gender)
        inverse = np.linalg.inv(root)
        white, centres = codes @ inverse.T, means[members] @ inverse.T
        distance = (white**2).sum(1)[:, None] - 2 * white @ centres.T + (centres**2).sum(1)
        scores[:, members] = -0.5 * distance - np.log(np.diag(root)).sum()
    return scores
