"""A webhook on loopback, which counts what it is told."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from loopback import on_loopback
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@contextmanager
def webhook() -> Iterator[tuple[str, Counter]]:
    """Yields its address, and how often it was told each text."""
    told: Counter = Counter()

    async def tell(request: Request) -> Response:
        told[(await request.json())["text"]] += 1
        return Response(status_code=204)

    with on_loopback(Starlette(routes=[Route("/", tell, methods=["POST"])])) as port:
        yield f"http://127.0.0.1:{port}/", told
