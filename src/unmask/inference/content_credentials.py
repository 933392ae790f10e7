"""Content Credentials: a manifest of C2PA in a restored picture, signed by the user's certificate.

It says what was given, what was done with it and by which model, and breaks when a pixel changes.
"""

import io
import os
from functools import lru_cache
from pathlib import Path

from PIL import Image

from unmask import __version__
from unmask.errors import UnmaskError
from unmask.inference.metadata import DIGITAL_SOURCE_TYPE, NOTE
from unmask.inference.results import PictureError

CERTIFICATE, KEY = "UNMASK_C2PA_CERTIFICATE", "UNMASK_C2PA_KEY"  # variables: paths of PEM files
_PARENT = "given"
_EC = {256: "ES256", 384: "ES384", 521: "ES512"}  # C2PA's algorithms by the curve's bits


class Credentials:
    """What signs manifests, tried once. Thumbnails, which would show the mask, are left out.

    Args:
        certificate: PEM file of the certificate and those that it depends on, but for the root.
        key: PEM file of its private key.

    Raises:
        UnmaskError: when the extra 'c2pa' is missing, or the files cannot sign.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        try:
            import c2pa
        except ImportError as error:
            raise UnmaskError(
                f"{CERTIFICATE} asks for Content Credentials, which need c2pa-python, of the extra "
                "'c2pa': pip install 'unmask[c2pa]'."
            ) from error
        self._c2pa = c2pa
        chain, secret = (_pem_in(file) for file in (certificate, key))
        algorithm = c2pa.C2paSigningAlg[_algorithm_of(secret, key)]
        no_thumbnails = {"builder": {"thumbnail": {"enabled": False}}}
        self._context = c2pa.Context(c2pa.Settings.from_dict(no_thumbnails))
        small = io.BytesIO()
        Image.new("RGB", (16, 16)).save(small, "png")
        try:
            self._signer = c2pa.Signer.from_info(
                c2pa.C2paSignerInfo(algorithm, chain, secret, None)
            )
            self.sign(small.getvalue(), "png", small.getvalue(), "png", "none")
        except (c2pa.C2paError, PictureError) as error:
            raise UnmaskError(f"{certificate} with {key} cannot sign: {error}.") from error

    def sign(
        self, content: bytes, format_: str, given: bytes, given_format: str, model: str
    ) -> bytes:
        """A restored picture's file with its manifest.

        Args:
            content: the file's bytes.
            format_: of them, as Pillow names it.
            given: the bytes of the file that it was made from, whose own manifest is kept within.
            given_format: of those.
            model: the model's name and version.

        Raises:
            PictureError: when no manifest can be made of the files.
        """
        edited = {
            "action": "c2pa.edited",
            "digitalSourceType": DIGITAL_SOURCE_TYPE,
            "description": NOTE,
            "softwareAgent": {"name": "unmask", "version": model},
        }
        opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": [_PARENT]}}
        actions = {"label": "c2pa.actions.v2", "data": {"actions": [opened, edited]}}
        tool = {"name": "unmask", "version": __version__}
        manifest = {"claim_generator_info": [tool], "assertions": [actions]}
        parent = {"title": "as given", "relationship": "parentOf", "instance_id": _PARENT}
        written = io.BytesIO()
        try:
            builder = self._c2pa.Builder(manifest, self._context)
            builder.add_ingredient(parent, f"image/{given_format}", io.BytesIO(given))
            builder.sign(self._signer, f"image/{format_}", io.BytesIO(content), written)
        except self._c2pa.C2paError as error:
            raise PictureError(f"no Content Credentials can be made of it ({error})") from error
        return written.getvalue()


def credentials_of_environment() -> Credentials | None:
    """What signs restored pictures, by UNMASK_C2PA_CERTIFICATE and UNMASK_C2PA_KEY; else None.

    Raises:
        UnmaskError: when these name files that cannot sign.
    """
    certificate, key = (os.environ.get(name, "") for name in (CERTIFICATE, KEY))
    if certificate and key:
        return _credentials(certificate, key, _changed(certificate), _changed(key))
    if certificate or key:
        missing = KEY if certificate else CERTIFICATE
        raise UnmaskError(f"{missing} is not set: name the PEM files of both, or of none.")
    return None


@lru_cache(maxsize=1)
def _credentials(certificate: str, key: str, *_changed: int) -> Credentials:
    """What signs by two files, read again where they changed, as on a renewal."""
    return Credentials(Path(certificate), Path(key))


def _changed(file: str) -> int:
    try:
        return Path(file).stat().st_mtime_ns
    except OSError:  # told when it is read
        return 0


def _pem_in(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UnmaskError(f"{file}, which is to sign, cannot be read: {error.strerror}.") from error


def _algorithm_of(secret: bytes, file: Path) -> str:
    """C2PA's algorithm for a private key in PEM."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(secret, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UnmaskError(f"{file} is no private key in PEM without a password.") from error
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size in _EC:
        return _EC[key.curve.key_size]
    if isinstance(key, rsa.RSAPrivateKey):
        return "PS256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ED25519"
    raise UnmaskError(f"{file} is a key that C2PA does not take: use EC, RSA or Ed25519.")
