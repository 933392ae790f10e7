"""Who may ask the server: by host, by origin, by token; and the headers of every answer."""

import base64
import binascii
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unmask.errors import UnmaskError

_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_PROBES = ("/health", "/health/live", "/health/ready")  # that answer any host, without a token
_SHORTEST_TOKEN = 16  # characters
_REFLECTED = {b"access-control-allow-origin", b"access-control-allow-credentials"}  # by gradio
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    # gradio's page has scripts and styles in it
    "Content-Security-Policy": (
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'none'; "
        "object-src 'none'; base-uri 'self'; form-action 'self'"
    ),
}


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        hosts: names that requests may be addressed to; `*` is any.
        origins: of pages elsewhere whose scripts may ask, as scheme://host[:port].
        token: that a request must bring, as bearer or as password of any user; None asks for none.
    """

    hosts: tuple[str, ...] = _LOOPBACK
    origins: tuple[str, ...] = ()
    token: str | None = None

    @classmethod
    def parse(
        cls,
        host: str,
        hosts: Iterable[str],
        origins: Iterable[str],
        token_file: Path | None,
        no_token: bool,
    ) -> "Access":
        """From what a user gives.

        Args:
            host: name or address that is listened on.
            hosts: further names of this machine.
            origins: of pages elsewhere.
            token_file: holds the token in its first line.
            no_token: whether none is asked for beyond loopback, either.

        Raises:
            UnmaskError: when the address is not loopback and it is not said how that is protected,
                or the file holds no token.
        """
        token = None if token_file is None else _token_in(token_file)
        if not (_is_loopback(host) or token or no_token):
            raise UnmaskError(
                f"{host} lets others in: name a file with a token by --token-file, or say "
                "--no-token where something else keeps strangers out."
            )
        own = () if _is_any(host) else (f"[{host}]" if ":" in host else host,)
        return cls((*_LOOPBACK, *own, *hosts), tuple(o.rstrip("/") for o in origins), token)


def _token_in(file: Path) -> str:
    try:
        token = file.read_text().partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UnmaskError(f"the token in {file} cannot be read ({error}).") from error
    if len(token) < _SHORTEST_TOKEN:
        raise UnmaskError(
            f"{file} holds a token of {len(token)} characters: write one of {_SHORTEST_TOKEN} or "
            "more into its first line."
        )
    return token


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_any(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def guarded(app: ASGIApp, access: Access) -> ASGIApp:
    """An application that answers those who may ask alone, with the headers of every answer."""
    return _Guard(app, access)


class _Guard:
    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access
        self._of_known_hosts = TrustedHostMiddleware(app, access.hosts, www_redirect=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # which nothing here speaks
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        origin = asked.get("origin")
        allowed = origin in self._access.origins

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _headers(message["headers"], origin if allowed else None)
            await send(message)

        if origin is not None and not allowed and origin.partition("://")[2] != asked.get("host"):
            refusal = _refusal(403, f"{origin} may not ask: it is no --allowed-origin.")
            await refusal(scope, receive, answer)
        elif not (scope["path"] in _PROBES or self._has_token(asked.get("authorization", ""))):
            refusal = _refusal(401, "send the server's token: Authorization: Bearer TOKEN.")
            refusal.headers["WWW-Authenticate"] = 'Basic realm="unmask: the password is the token"'
            await refusal(scope, receive, answer)
        elif allowed and scope["method"] == "OPTIONS":
            preflight = JSONResponse({}, headers={"Access-Control-Allow-Methods": "GET, POST"})
            preflight.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
            await preflight(scope, receive, answer)
        else:
            app = self._app if scope["path"] in _PROBES else self._of_known_hosts
            await app(scope, receive, answer)

    def _has_token(self, authorization: str) -> bool:
        """Compared in a time that does not tell how much of it is right."""
        if self._access.token is None:
            return True
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return False
        elif scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(given.strip().encode(), self._access.token.encode())


def _refusal(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error_code": "PERMISSION_DENIED", "message": sentence}, status)


def _headers(
    headers: Iterable[tuple[bytes, bytes]], origin: str | None
) -> list[tuple[bytes, bytes]]:
    """An answer's headers with ours in place of its own; of an allowed origin, also CORS's."""
    ours = dict(_HEADERS)
    if origin is not None:
        ours |= {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
    names = {name.lower().encode() for name in ours}
    kept = [(name, value) for name, value in headers if name.lower() not in names | _REFLECTED]
    return kept + [(name.encode(), value.encode()) for name, value in ours.items()]
