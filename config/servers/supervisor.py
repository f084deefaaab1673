"""Keeps the embedded servers of one home running: a process in a session of its own, shared by all commands.

It holds home/servers.lock as long as it lives, so that there is never a second one, and writes into that file who it
is and which servers are ready. Killed hard, it leaves the servers running; the next one takes them over.
"""

import fcntl
import json
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import psutil

from config.servers.broker import Broker
from config.servers.plan import Plan, ServerError, prepare, unwritable
from config.servers.postgres import Postgres
from config.servers.processes import gone

log = logging.getLogger(__name__)

ALL = ("database", "broker")
ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 180  # seconds for a first start, or for replaying the log after a crash


@dataclass(frozen=True, slots=True)
class Status:
    """What the supervisor says of itself. ``pid`` is None if none is at work, 0 until it has said who it is."""

    pid: int | None
    ready: frozenset[str] = frozenset()
    trouble: str = ""  # why one of the servers cannot be started again


def status(home: Path) -> Status:
    path = home / "servers.lock"
    if not path.exists():
        return Status(None)
    with _opened(path) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            try:
                said = json.loads(os.pread(descriptor, 65536, 0))
                if psutil.Process(said["pid"]).create_time() == said["since"]:
                    return Status(said["pid"], frozenset(said["ready"]), said["trouble"])
            except (
                ValueError,
                KeyError,
                psutil.Error,
            ):  # it is just writing, or these are the words of one that was killed
                pass
            return Status(0)
    return Status(None)


def ensure(home: Path, needed: Collection[str] = ALL) -> None:
    """Return when the ``needed`` servers of ``home`` answer; start what does not run.

    Raises ServerError, with a sentence that says what to do.
    """
    if not needed:
        return
    prepare(home)
    deadline = time.monotonic() + PATIENCE
    while not _ready(home, needed):
        if time.monotonic() > deadline:
            raise ServerError(f"The servers in {home} do not answer yet; look into {home}/servers.log, or try again.")
        for name in needed:
            (home / f"{name}.wanted").touch()
        seen = status(home)
        if seen.pid is None:
            _start_supervisor(home, deadline)
        elif seen.trouble:
            raise ServerError(seen.trouble)
        else:
            time.sleep(0.05)


def stop(home: Path) -> bool:
    """Stop supervisor and servers, also servers that a killed supervisor left. Tell whether there were any."""
    found = False
    deadline = time.monotonic() + PATIENCE
    while (seen := status(home)).pid is not None:
        found = True
        if seen.pid:
            try:
                os.kill(seen.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
            except PermissionError:
                raise ServerError(f"The servers in {home} belong to another user: stop them as that user.") from None
        if time.monotonic() > deadline:
            raise ServerError(f"The servers in {home} do not stop: end process {seen.pid} yourself.")
        time.sleep(0.1)
    if (home / "servers.json").exists():
        with _lock(home) as held:
            for server in (Broker(home), Postgres(home)):
                if held and server.running():
                    found = True
                    server.stop()
    return found


def supervise(home: Path, *, detached: bool = False) -> None:
    """Run the wanted servers until SIGTERM or SIGINT; return at once if another supervisor does.

    ``detached``: tell the process that waits on our error output that all is ready by closing it.
    """
    prepare(home)
    with _lock(home) as descriptor:
        if descriptor is None:
            return
        stopping = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        logging.basicConfig(
            filename=home / "servers.log" if detached else None, format="%(asctime)s %(message)s", level=logging.INFO
        )
        _announce(descriptor)
        Plan.settled(home)
        servers = (Postgres(home), Broker(home))
        if not detached:  # started by hand: run everything
            for server in servers:
                _wanted(home, server).touch()
        _keep(home, servers, descriptor, stopping, detached)
        log.info("stopped")


def _keep(home: Path, servers: Sequence[Postgres | Broker], descriptor: int, stopping: Event, detached: bool) -> None:
    processes: dict[str, psutil.Process | None] = {}
    trouble = ""
    while not stopping.is_set() and _still_there(home, descriptor):
        pause = 0.5
        for server in servers:
            if not _wanted(home, server).exists() or (server.name in processes and server.running()):
                continue
            if process := processes.pop(server.name, None):
                gone(process, 0)
                log.warning("%s has ended", server.name)
                _announce(descriptor, processes)
            try:
                server.start()
            except ServerError as error:
                log.error("%s", error)
                if detached:
                    print(error, file=sys.stderr, flush=True)
                if not processes:
                    os._exit(1)  # nothing to keep, and no destructor may end what the next supervisor takes over
                trouble, pause = str(error), 5.0
            else:
                processes[server.name] = server.process()
                trouble = ""
                log.info("%s is ready", server.name)
            _announce(descriptor, processes, trouble)
        if detached:
            _leave_the_caller()
            detached = False
        stopping.wait(pause)
    for server in reversed(servers):
        if _still_there(home, descriptor):
            server.stop()
            _wanted(home, server).unlink(missing_ok=True)
        elif left := processes.get(server.name):  # its folder was removed, and its names with it
            left.send_signal(signal.SIGINT)


def _wanted(home: Path, server: Postgres | Broker) -> Path:
    """A mark of the commands: they need this server."""
    return home / f"{server.name}.wanted"


def _ready(home: Path, needed: Collection[str]) -> bool:
    seen = status(home)
    servers = [server for server in (Postgres(home), Broker(home)) if server.name in needed]
    return bool(seen.pid) and seen.ready.issuperset(needed) and all(server.answers() for server in servers)


def _start_supervisor(home: Path, deadline: float) -> None:
    """Start a supervisor and wait until it is ready, or gone since another was faster. Raise what it complains of."""
    reading, writing = os.pipe()
    try:
        command = [sys.executable, "-m", "config.servers", "supervise", "--detached"]
        environment = os.environ | {"KONTOR_HOME": str(home)}
        subprocess.run(
            command,
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            start_new_session=True,
            check=False,
        )
        os.close(writing)
        said = b""
        while select.select([reading], [], [], max(0.0, deadline - time.monotonic()))[0]:
            part = os.read(reading, 65536)
            if not part:
                break
            said += part
    finally:
        os.close(reading)
    if said.strip():
        raise ServerError(said.decode(errors="replace").strip())


def _leave_the_caller() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _announce(descriptor: int, ready: Collection[str] = (), trouble: str = "") -> None:
    since = psutil.Process().create_time()
    said = json.dumps({"pid": os.getpid(), "since": since, "ready": sorted(ready), "trouble": trouble}).encode()
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, said, 0)


def _still_there(home: Path, descriptor: int) -> bool:
    """Whether the folder is the one we started in, and was not removed or replaced."""
    try:
        return os.path.samestat(os.fstat(descriptor), (home / "servers.lock").stat())
    except OSError:
        return False


@contextmanager
def _lock(home: Path) -> Iterator[int | None]:
    """Hold the supervisor's lock; None if another process keeps it for longer than a look at it takes."""
    with _opened(home / "servers.lock") as descriptor:
        for _ in range(40):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.05)
            else:
                yield descriptor
                return
        yield None


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise unwritable(path, error) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)
