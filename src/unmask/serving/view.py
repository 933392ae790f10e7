"""The pictures, table and sentence that the page shows for one row of the model's answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

import cv2
import numpy as np

from unmask.inference.pictures import from_base64
from unmask.inference.results import spread_of

_SMALLEST, _LARGEST = 640, 1280  # pixels of the longer side of a picture on the page
_TINT, _RIM, _DOT = (20, 184, 166), (255, 255, 255), (15, 118, 110)  # RGB
_STATUS = {"restored": "Restored", "no_mask": "No mask", "skipped": "Skipped"}
_COLUMNS = ("Face", "Result", "Gender", "Masked", "Score")


@dataclass(frozen=True)
class View:
    """The page's content for one photo; pictures are (H, W, 3) uint8 RGB at a size for screens.

    Attributes:
        before: the photo.
        after: the restored photo, of the same size.
        found: the photo with the replaced region tinted and each face's landmarks.
        samples: other plausible restorations.
        spread: their standard deviation, from black to yellow; None where they do not differ.
        most: the largest standard deviation, which is shown yellow, in 0..255.
        table: what was found in each face, in HTML.
        sentence: the result in words.
        restored: whether any pixel was replaced.
    """

    before: np.ndarray
    after: np.ndarray
    found: np.ndarray
    samples: list[np.ndarray]
    spread: np.ndarray | None
    most: float
    table: str
    sentence: str
    restored: bool


def view_of(photo: np.ndarray, row: dict) -> View:
    """The view of a photo (H, W, 3) uint8 and of the model's row that answers it."""
    hole = from_base64(row["mask"], "the answer's mask").pixels[..., 0] > 0
    faces = row["faces"]
    after = from_base64(row["image"], "the answer's picture").pixels
    samples, spread = _samples(row["samples"], hole)
    most = float(spread.max())
    return View(
        before=scaled_for_screen(photo),
        after=scaled_for_screen(after),
        found=_annotated(photo, hole, faces),
        samples=samples,
        spread=_coloured(spread / most) if most else None,
        most=most,
        table=_table(faces),
        sentence=" ".join([_sentence(faces), *map(_as_sentence, row["warnings"])]),
        restored=bool(hole.any()),
    )


def scaled_for_screen(picture: np.ndarray) -> np.ndarray:
    """A picture (H, W[, 3]) scaled so that its longer side has 640 to 1,280 pixels."""
    scale = _scale(picture)
    if scale == 1:
        return picture
    height, width = picture.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def _scale(picture: np.ndarray) -> float:
    longer = max(picture.shape[:2])
    return float(np.clip(longer, _SMALLEST, _LARGEST)) / longer


def _samples(encoded: list[str], hole: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """The samples at a size for screens, and their standard deviation (H, W) float32.

    They are decoded one by one, and only the part around the hole is kept at full size, since all
    samples are the same outside it.
    """
    x, y, width, height = cv2.boundingRect(hole.astype(np.uint8))
    part = np.s_[y : y + height, x : x + width]
    pictures, parts = [], []
    for number, text in enumerate(encoded, 1):
        sample = from_base64(text, f"the answer's sample {number}").pixels
        pictures.append(scaled_for_screen(sample))
        parts.append(sample[part].copy())
    spread = np.zeros(hole.shape, np.float32)
    if parts and hole.any():
        spread[part] = spread_of(parts)
    return pictures, spread


def _coloured(share: np.ndarray) -> np.ndarray:
    """A map (H, W) in 0..1 as a picture from black to yellow, at a size for screens."""
    levels = (scaled_for_screen(share) * 255).clip(0, 255).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)


def _annotated(photo: np.ndarray, hole: np.ndarray, faces: list[dict]) -> np.ndarray:
    """The photo with the replaced region tinted and each face's landmarks and number."""
    canvas, scale = scaled_for_screen(photo).copy(), _scale(photo)
    region = scaled_for_screen(hole.astype(np.uint8) * 255) > 127
    canvas[region] = (0.5 * canvas[region] + 0.5 * np.array(_TINT)).astype(np.uint8)
    outlines, _ = cv2.findContours(
        region.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    cv2.drawContours(canvas, outlines, -1, _RIM, 1, cv2.LINE_AA)
    for number, face in enumerate(faces, 1):
        x0, y0, x1, _ = (v * scale for v in face["box"])
        dot = max(1, round((x1 - x0) / 110))
        for x, y in face["landmarks"]:
            centre = (round(x * scale), round(y * scale))
            if dot > 1:
                cv2.circle(canvas, centre, dot + 1, _RIM, -1, cv2.LINE_AA)
            cv2.circle(canvas, centre, dot, _DOT, -1, cv2.LINE_AA)
        if len(faces) > 1:
            _draw_number(canvas, number, (round(x0), round(y0)))
    return canvas


def _draw_number(canvas: np.ndarray, number: int, at: tuple[int, int]) -> None:
    """Draw a face's number in a disc at (x, y), moved inside the canvas."""
    radius = 16
    height, width = canvas.shape[:2]
    x, y = (
        int(np.clip(v, radius, side - radius)) for v, side in zip(at, (width, height), strict=True)
    )
    cv2.circle(canvas, (x, y), radius, _RIM, -1, cv2.LINE_AA)
    cv2.circle(canvas, (x, y), radius - 2, _DOT, -1, cv2.LINE_AA)
    style = (cv2.FONT_HERSHEY_SIMPLEX, 0.6, 2)
    (w, h), _ = cv2.getTextSize(str(number), *style)
    origin = (x - w // 2, y + h // 2)
    cv2.putText(canvas, str(number), origin, style[0], style[1], _RIM, style[2], cv2.LINE_AA)


def _as_sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _sentence(faces: list[dict]) -> str:
    count = sum(face["status"] == "restored" for face in faces)
    if not count:
        reasons = dict.fromkeys(face["reason"] for face in faces)
        return f"Nothing was changed: {', and '.join(reasons)}."
    if count < len(faces):
        return f"{count} of {len(faces)} faces restored; the table says why not the others."
    return "One face restored." if count == 1 else f"{count} faces restored."


def _table(faces: list[dict]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in _COLUMNS)
    rows = "".join(f"<tr>{''.join(_cells(n, face))}</tr>" for n, face in enumerate(faces, 1))
    return (
        '<table class="faces"><caption>What was found in each face</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _cells(number: int, face: dict) -> Iterator[str]:
    reason = f"<small>{escape(face['reason'])}</small>" if face["reason"] else ""
    yield f'<th scope="row">{number}</th>'
    yield f'<td><b class="{face["status"]}">{_STATUS[face["status"]]}</b>{reason}</td>'
    if face["status"] == "skipped":  # nothing was measured
        yield "<td>–</td>" * 2 + f"<td>{face['score']:.2f}</td>"
        return
    male = face["gender_male"]
    name, share = ("male", male) if male >= 0.5 else ("female", 1 - male)
    scale = f'<span class="scale"><i style="width:{share:.0%}"></i></span>'
    yield f"<td>{share:.0%} {name}{scale}</td>"
    yield f"<td>{face['mask_fraction']:.0%}</td><td>{face['score']:.2f}</td>"
