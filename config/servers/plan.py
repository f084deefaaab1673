"""What the embedded servers of one installation are called: ports, passwords and folders, in home/servers.json.

The file says where the servers will answer, whether they run or not: settings can be read before anything starts.
"""

import json
import os
import random
import re
import secrets
import socket
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tenants.errors import OperatorError

HOST = "127.0.0.1"
DATABASE, OWNER, APPLICATION, SUPERUSER = "kontor", "kontor_owner", "kontor_app", "postgres"


class ServerError(OperatorError):
    """An embedded server cannot be started or reached. Said in English: no translation is loaded at that point."""


@dataclass(frozen=True, slots=True)
class Plan:
    home: str
    port: int
    data: str | None  # folder of the database; None until it was first started
    broker: str  # folder of the broker and its socket: short, without blanks
    superuser_password: str
    owner_password: str
    application_password: str

    @classmethod
    def of(cls, home: Path) -> "Plan":
        """Read the plan of ``home``; the first call makes it."""
        path = home / "servers.json"
        if not path.exists():
            prepare(home)
            written_once(path, cls._first(home).as_json())
        try:
            return cls(**json.loads(path.read_text()))
        except PermissionError:
            raise ServerError(
                f"{path} belongs to another user: work as that user, or set KONTOR_HOME to a folder of your own."
            ) from None
        except (ValueError, TypeError):
            raise ServerError(f"{path} is damaged. It holds the passwords of the database: restore it.") from None

    @classmethod
    def _first(cls, home: Path) -> "Plan":
        if (home / "postgres").exists():
            raise ServerError(
                f"{home}/servers.json is missing, and with it the passwords of the database in {home}/postgres: "
                "restore the file, or move the folder away to begin with an empty installation."
            )
        return cls(
            home=str(home),
            port=free_port(),
            data=None,
            broker=broker_folder(home),
            superuser_password=secrets.token_urlsafe(24),
            owner_password=secrets.token_urlsafe(24),
            application_password=secrets.token_urlsafe(24),
        )

    @classmethod
    def settled(cls, home: Path) -> "Plan":
        """The plan of ``home`` after it was moved or copied to where it is now. For the supervisor alone."""
        plan = cls.of(home)
        if plan.home == str(home):
            return plan
        data = plan.data
        if data and Path(data).is_relative_to(plan.home):
            data = str(home / Path(data).relative_to(plan.home))
        elif data and (Path(plan.home) / "servers.json").exists():
            raise ServerError(
                f"{home} is a copy of {plan.home}, whose database lies in {data}: "
                f"remove {home}/servers.json to begin with an empty installation."
            )
        return plan.changed(home, home=str(home), data=data, broker=broker_folder(home))

    def changed(self, folder: Path, **values: object) -> "Plan":
        """Store new values in ``folder``, the home. For the supervisor alone, which holds the lock."""
        plan = replace(self, **values)  # type: ignore[arg-type]
        path = folder / "servers.json"
        try:
            _replace(path, plan.as_json())
        except OSError as error:
            raise unwritable(path, error) from None
        return plan

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    @property
    def application_url(self) -> str:
        return f"postgresql://{APPLICATION}:{self.application_password}@{HOST}:{self.port}/{DATABASE}"

    @property
    def owner_url(self) -> str:
        return f"postgresql://{OWNER}:{self.owner_password}@{HOST}:{self.port}/{DATABASE}"

    @property
    def broker_url(self) -> str:
        return f"redis+socket://{self.socket}"

    @property
    def socket(self) -> Path:
        return Path(self.broker) / "valkey.sock"


def prepare(home: Path) -> None:
    """Make ``home`` if needed: open for passing through when root makes it, since the database runs as another user."""
    try:
        if not home.exists():
            home.parent.mkdir(parents=True, exist_ok=True)
            home.mkdir(exist_ok=True)
            home.chmod(0o711 if os.geteuid() == 0 else 0o700)
        if home.stat().st_uid != os.geteuid():
            raise ServerError(
                f"{home} belongs to another user: work as that user, or set KONTOR_HOME to a folder of your own."
            )
    except OSError as error:
        raise unwritable(home, error) from None


def written_once(path: Path, content: str) -> str:
    """Store ``content`` at ``path`` with mode 0600, unless there is some already; return what is stored."""
    prepare(path.parent)
    try:
        if not path.exists():
            _replace(path, content, only_if_missing=True)
        return path.read_text()
    except OSError as error:
        raise unwritable(path, error) from None


def private_folder(path: Path) -> Path:
    """Make the folder ``path`` in a home that others may pass through: into it they may not."""
    prepare(path.parent)
    try:
        path.mkdir(exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise unwritable(path, error) from None
    return path


def unwritable(path: Path, error: OSError) -> ServerError:
    reason = (error.strerror or str(error)).lower()
    return ServerError(
        f"{path} cannot be written or read ({reason}): "
        "make room or give access there, or set KONTOR_HOME to another folder."
    )


def free_port() -> int:
    """A port that is free now, below those that the system hands to outgoing connections."""
    for _ in range(200):
        port = random.randrange(15432, 30000)
        if port_is_free(port):
            return port
    raise ServerError("No free port between 15432 and 30000 on 127.0.0.1: stop a program that listens there.")


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def broker_folder(home: Path) -> str:
    """Below ``home`` if its path suits: Valkey takes no blanks, a socket's path at most about 100 bytes."""
    folder = home / "valkey"
    if re.fullmatch(r"[A-Za-z0-9_./-]{1,80}", str(folder)):
        return str(folder)
    return tempfile.mkdtemp(prefix="kontor-", dir="/tmp")  # made with mode 0700


def _replace(path: Path, content: str, *, only_if_missing: bool = False) -> None:
    """Put a complete file of mode 0600 at ``path`` in one step."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if only_if_missing:
            try:
                os.link(name, path)
            except FileExistsError:
                return
        else:
            Path(name).rename(path)
    finally:
        Path(name).unlink(missing_ok=True)
