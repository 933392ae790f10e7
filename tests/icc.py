"""Small colour profiles, made by the ICC's specification (ICC.1:2001-04) for tests."""

import struct

import numpy as np

_DISPLAY_P3 = [(0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)]
_D50 = (0.9642, 1.0, 0.8249)


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))


def _gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))


def _text(text: str) -> bytes:
    return b"text\0\0\0\0" + text.encode() + b"\0"


def _description(text: str) -> bytes:
    raw = text.encode() + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(raw)) + raw + bytes(4 + 4 + 2 + 1 + 67)


def _profile(kind: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {b"desc": _description("a test's"), b"cprt": _text("none"), b"wtpt": _xyz(_D50)} | tags
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", at + len(body), len(content))
        body += content
    header = struct.pack(
        ">I4sI4s4s4s12s4s4sIII8sI12s48s",
        at + len(body), b"lcms", 0x02400000, kind, space, connection, bytes(12), b"acsp", bytes(4),
        0, 0, 0, bytes(8), 0, _xyz(_D50)[8:], bytes(48),
    )  # fmt: skip
    return header[:128] + struct.pack(">I", len(tags)) + table + body


def display_p3() -> bytes:
    """An RGB profile with the primaries of Display P3."""
    colorants = dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(_xyz, _DISPLAY_P3), strict=True))
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _gamma(2.2))
    return _profile(b"mntr", b"RGB ", b"XYZ ", colorants | curves)


def dark_grey() -> bytes:
    """A grey profile of gamma 3."""
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": _gamma(3.0)})


def _lut8(inputs: int, outputs: int, corners: np.ndarray) -> bytes:
    """A table that interpolates between the corners (2 ** inputs, outputs) uint8."""
    identity = bytes(range(256))
    matrix = struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    head = b"mft1\0\0\0\0" + bytes([inputs, outputs, 2, 0]) + matrix
    return head + identity * inputs + corners.astype(np.uint8).tobytes() + identity * outputs


def pale_cmyk() -> bytes:
    """A CMYK profile: ink takes lightness, and cyan and magenta colour it a little."""
    inks = np.indices((2, 2, 2, 2)).reshape(4, -1).T
    light = (255 - 255 * (0.3 * inks[:, :3].sum(axis=1) + 0.9 * inks[:, 3]).clip(0, 1)).clip(0, 255)
    lab = np.column_stack([light, 128 - 40 * inks[:, 0] + 40 * inks[:, 1], 128 - 40 * inks[:, 0]])
    corners = np.indices((2, 2, 2)).reshape(3, -1).T
    dark = 255 * (1 - corners[:, :1])
    back = np.column_stack([0 * dark, 0 * dark, 0 * dark, dark])
    return _profile(
        b"prtr",
        b"CMYK",
        b"Lab ",
        {
            **{b"A2B%d" % intent: _lut8(4, 3, lab) for intent in range(3)},
            **{b"B2A%d" % intent: _lut8(3, 4, back) for intent in range(3)},
        },
    )
