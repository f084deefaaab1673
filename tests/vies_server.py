"""A register of VAT ids that behaves as it is told: ``python -m tests.vies_server FOLDER``.

It prints its port, reads what to do from FOLDER/mode before each answer, and keeps what it was asked in FOLDER/asked.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

from tests.server_process import serving, tell

SERIAL = count(1)


class Handler(BaseHTTPRequestHandler):
    folder: Path

    def log_message(self, *args: Any) -> None:
        """Silent."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        (self.folder / "asked" / f"{next(SERIAL):06}").write_text(json.dumps(asked))
        mode, _, argument = (self.folder / "mode").read_text().partition(" ")
        if mode == "cut":
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n{"val')
            self.wfile.flush()
            self.connection.close()
        elif mode == "hang":
            Event().wait(3600)
        elif mode == "nonsense":
            self._say(200, argument or "<html>maintenance</html>")
        elif mode == "status":
            self._say(int(argument), "", {"Retry-After": "1200"})
        elif mode == "fault" and (argument.partition(" ")[2] in ("", asked["countryCode"])):
            self._say(200, json.dumps({"actionSucceed": False, "errorWrappers": [{"error": argument.split()[0]}]}))
        else:
            self._say(200, json.dumps(self._answer(asked, mode == "invalid")))

    def _answer(self, asked: dict[str, str], is_invalid: bool) -> dict[str, Any]:
        qualified = "requesterNumber" in asked
        return {
            "countryCode": asked["countryCode"],
            "vatNumber": asked["vatNumber"],
            "requestDate": "2026-02-01T10:00:00.000Z",
            "valid": not is_invalid,
            "requestIdentifier": f"WAPIAAAA{asked['vatNumber']}" if qualified and not is_invalid else "",
            "name": "---",
            "address": "---",
            "traderNameMatch": "VALID" if "traderName" in asked else "NOT_PROCESSED",
            "traderStreetMatch": "NOT_PROCESSED",
            "traderPostalCodeMatch": "NOT_PROCESSED",
            "traderCityMatch": "INVALID" if asked.get("traderCity") == "Anderswo" else "VALID",
        }

    def _say(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@dataclass
class Register:
    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/rest-api"

    def does(self, mode: str, argument: str = "") -> None:
        """confirm, invalid, fault CODE [STATE], status NUMBER, nonsense [TEXT], cut, hang."""
        tell(self.folder, f"{mode} {argument}".strip())

    @property
    def asked(self) -> list[dict[str, str]]:
        return [json.loads(path.read_text()) for path in sorted((self.folder / "asked").iterdir())]


@contextmanager
def register(folder: Path) -> Iterator[Register]:
    """A register in a process of its own, which confirms every id until told otherwise."""
    (folder / "asked").mkdir(parents=True)
    server = Register(0, folder)
    server.does("confirm")
    with serving("tests.vies_server", folder) as server.port:
        yield server


if __name__ == "__main__":
    Handler.folder = Path(sys.argv[1])
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        print(http.server_port, flush=True)
        http.serve_forever()
