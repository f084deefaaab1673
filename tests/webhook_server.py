"""A receiver of webhooks that behaves as it is told: ``python -m tests.webhook_server FOLDER``.

It prints its port, reads what to do from FOLDER/mode before each answer, and keeps every request in FOLDER/requests.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

from tests.server_process import serving, tell

SERIAL = count(1)


class Handler(BaseHTTPRequestHandler):
    folder: Path

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        request = {"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body}
        (self.folder / "requests" / f"{next(SERIAL):06}").write_text(json.dumps(request))
        mode, _, argument = (self.folder / "mode").read_text().partition(" ")
        if mode == "hang":
            time.sleep(3600)
        if mode == "cut":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if mode == "drip":  # a byte now and then, for ever
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
            while True:
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.05)
        if mode == "rubbish":
            self.wfile.write(b"I speak no HTTP\r\n\r\n")
            return
        self.send_response(int(mode))
        for header in filter(None, argument.split("|")):
            self.send_header(*header.split(": ", 1))
        self.end_headers()
        self.wfile.write(b"seen\x00 by <shop>\n" + b"x" * 5000)

    def log_message(self, *arguments: Any) -> None:
        """Quiet."""


def serve(folder: Path) -> None:
    Handler.folder = folder
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


@dataclass
class Receiver:
    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks?from=kontor"

    def behave(self, mode: str) -> None:
        """A status, with headers after a blank (``429 Retry-After: 60``), or hang, cut, drip, rubbish."""
        tell(self.folder, mode)

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted((self.folder / "requests").iterdir())]


@contextmanager
def receiver(folder: Path) -> Iterator[Receiver]:
    """A receiver in a process of its own; it takes everything until it is told otherwise."""
    (folder / "requests").mkdir(parents=True)
    tell(folder, "204")
    with serving("tests.webhook_server", folder) as port:
        yield Receiver(folder, port)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
