"""A mail server that behaves as it is told: ``python -m tests.smtp_server FOLDER``.

It prints its port, reads what to do from FOLDER/mode before each step, and keeps every message it took in FOLDER/mails.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from itertools import count
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

from tests.server_process import serving, tell


class Handler:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.serial = count(1)

    @property
    def mode(self) -> tuple[str, str]:
        name, _, argument = (self.folder / "mode").read_text().partition(" ")
        return name, argument

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        mode, refused = self.mode
        if mode == "refuse-450":
            return "450 Try again later"
        if mode == "refuse-550" and address == refused:
            return "550 No such user"
        if mode == "drop-before-data":
            server.transport.abort()
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        (self.folder / "mails" / f"{next(self.serial):06}").write_bytes(envelope.content)
        mode, _ = self.mode
        if mode == "drop-after-data":
            server.transport.abort()
        if mode == "hang":
            await asyncio.sleep(3600)
        return "250 OK"


async def serve(folder: Path) -> None:
    handler = Handler(folder)
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(handler), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@dataclass
class MailServer:
    port: int
    folder: Path

    def does(self, mode: str, argument: str = "") -> None:
        """accept, refuse-450, refuse-550 ADDRESS, drop-before-data, drop-after-data, hang."""
        tell(self.folder, f"{mode} {argument}".strip())

    @property
    def mails(self) -> list[EmailMessage]:
        """Everything that was handed over, whether it was answered or not."""
        return [
            message_from_bytes(path.read_bytes(), policy=policy.default)  # type: ignore[arg-type,misc]
            for path in sorted((self.folder / "mails").iterdir())
        ]


@contextmanager
def mail_server(folder: Path) -> Iterator[MailServer]:
    """A server in a process of its own, which accepts mail until told otherwise."""
    (folder / "mails").mkdir(parents=True)
    server = MailServer(0, folder)
    server.does("accept")
    with serving("tests.smtp_server", folder) as server.port:
        yield server


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
