"""What an image file says beside its pixels, and what a restored one says of itself."""

import io
import struct
from dataclasses import dataclass, field, replace
from xml.etree import ElementTree

from PIL import Image, TiffImagePlugin

#: IPTC's word for a photo of which a part is made by a trained model
DIGITAL_SOURCE_TYPE = (
    "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
)
NOTE = "The region of the face mask is synthesised."
_ORIENTATION = 0x0112
_TIFF_TAGS = {  # of a TIFF file's, which mixes them with those of its pixels
    270: "ImageDescription",
    271: "Make",
    272: "Model",
    305: "Software",
    306: "DateTime",
    315: "Artist",
    33432: "Copyright",
    34665: "Exif",
    34853: "GPS",
}
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_TIFF = "http://ns.adobe.com/tiff/1.0/"
_NAMESPACES = {"x": "adobe:ns:meta/", "rdf": _RDF, "Iptc4xmpExt": _IPTC, "tiff": _TIFF}
_EMPTY = (
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}">'
    '<rdf:Description rdf:about=""/></rdf:RDF></x:xmpmeta>'
).encode()
_PACKET = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n',
    b'\n<?xpacket end="w"?>',
)
_LONGEST_XMP = 1_000_000  # bytes
IPTC_TAG = 33723  # of TIFF
_LONGEST_SEGMENT = 65_533  # bytes
_IPTC_RESOURCE = 0x0404  # of Photoshop's segment in a JPEG file
#: what Pillow raises where EXIF is damaged
_DAMAGED = (OSError, SyntaxError, ValueError, KeyError, TypeError, EOFError, struct.error)


@dataclass(frozen=True)
class Metadata:
    """What a file says beside its pixels.

    Attributes:
        exif: as it is stored in a JPEG file, of an upright picture and without its thumbnail.
        xmp: a packet of XML.
        iptc: IPTC-IIM's records, as captions and copyrights of the press.
        dpi: pixels per inch, across and down.
        text: a PNG file's, by keyword.
    """

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    dpi: tuple[float, float] | None = None
    text: dict[str, str] = field(default_factory=dict)

    def synthesised_by(self, model: str) -> "Metadata":
        """The same, saying that a region is synthesised and by which model."""
        text = self.text | {"Software": f"unmask, model {model}", "Comment": NOTE}
        said = {
            "DigitalSourceType": DIGITAL_SOURCE_TYPE,
            "AISystemUsed": "unmask",
            "AISystemVersionUsed": model,
        }
        named = {f"{{{_IPTC}}}{name}": value for name, value in said.items()}
        return replace(self, xmp=_with_properties(self.xmp, named), text=text)


def read_metadata(image: Image.Image) -> tuple[Metadata, int, list[str]]:
    """What an opened image file says, once it is turned upright.

    Returns:
        That, EXIF's orientation (1 for upright) before, and what is lost in a few words each.
    """
    warnings = []
    exif, orientation = b"", 1
    try:
        read = image.getexif()
        orientation = read.get(_ORIENTATION, 1)
        exif = _upright_exif(image, read)
    except _DAMAGED:
        warnings.append("its EXIF is damaged and left out")
    xmp = image.info.get("xmp") or b""
    if isinstance(xmp, str):
        xmp = xmp.encode()
    if xmp and (len(xmp) > _LONGEST_XMP or _parsed(xmp) is None):
        warnings.append("its XMP is damaged and left out")
        xmp = b""
    if xmp and orientation != 1:
        xmp = _with_properties(xmp, {f"{{{_TIFF}}}Orientation": "1"})
    dpi = image.info.get("dpi")
    text = {
        key: str(value)
        for key, value in getattr(image, "text", {}).items()
        if not key.startswith(("XML:com.adobe.xmp", "Raw profile"))
    }
    resolution = (float(dpi[0]), float(dpi[1])) if dpi else None
    return Metadata(exif, xmp, _iptc_of(image), resolution, text), orientation, warnings


def _iptc_of(image: Image.Image) -> bytes:
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        # its bytes, which some programs store as whole numbers, of which Pillow keeps the first
        stored = image.tag_v2._tagdata.get(IPTC_TAG, b"")
        found = stored[: max(len(stored.rstrip(b"\0")), len(stored) - 3)]  # it was filled up
    else:
        found = image.info.get("photoshop", {}).get(_IPTC_RESOURCE, b"")
    return found if isinstance(found, bytes) else b""


def iptc_segment(iptc: bytes) -> bytes:
    """The segment of a JPEG file that holds IPTC-IIM's records; none where it does not fit one."""
    resource = b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(iptc)) + iptc
    content = b"Photoshop 3.0\0" + resource + bytes(len(iptc) % 2)
    if not iptc or len(content) > _LONGEST_SEGMENT:
        return b""
    return b"\xff\xed" + struct.pack(">H", len(content) + 2) + content


def _upright_exif(image: Image.Image, read: Image.Exif) -> bytes:
    """The EXIF of an image, upright; Pillow leaves the thumbnail out, which shows the mask."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        for tag in set(read) - set(_TIFF_TAGS):
            del read[tag]
    elif _ORIENTATION in read:
        read[_ORIENTATION] = 1
    return read.tobytes() if len(read) else b""


def _parsed(xmp: bytes) -> ElementTree.Element | None:
    """The root of a packet that has a description; None where it is damaged."""
    try:
        root = ElementTree.fromstring(xmp.strip(b"\0 \r\n\t"))
    except (ElementTree.ParseError, ValueError):
        return None
    return root if root.find(f".//{{{_RDF}}}Description") is not None else None


def _with_properties(xmp: bytes, properties: dict[str, str]) -> bytes:
    """A packet with simple properties, by their qualified names, in place of its own."""
    root = _parsed(xmp)
    if root is None:
        xmp, root = _EMPTY, ElementTree.fromstring(_EMPTY)
    _keep_prefixes(xmp)
    descriptions = root.findall(f".//{{{_RDF}}}Description")
    for description in descriptions:
        for name in properties:
            description.attrib.pop(name, None)
            for element in description.findall(name):
                description.remove(element)
    for name, value in properties.items():
        descriptions[0].set(name, value)
    return _PACKET[0] + ElementTree.tostring(root) + _PACKET[1]


def _keep_prefixes(xmp: bytes) -> None:
    """Have ElementTree write a packet's namespaces by their own prefixes."""
    packet = io.BytesIO(xmp.strip(b"\0 \r\n\t"))
    found = [pair for _, pair in ElementTree.iterparse(packet, events=["start-ns"])]
    for prefix, uri in [*found, *_NAMESPACES.items()]:
        try:
            ElementTree.register_namespace(prefix, uri)
        except ValueError:  # ns1 and its like, which ElementTree keeps for itself
            continue
