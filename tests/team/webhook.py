"""A webhook on loopback, which counts what it is told."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@contextmanager
def webhook() -> Iterator[tuple[str, Counter]]:
    """Yields its address, and how often it was told each text."""
    told: Counter = Counter()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told[json.loads(body)["text"]] += 1
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as receiving:
        Thread(target=receiving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{receiving.server_port}/", told
        receiving.shutdown()
