"""The embedded servers, with real processes and real kills, each test in a home of its own."""

import multiprocessing
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import psutil
import psycopg2
import pytest

from config import env, roles, servers
from config.servers import plan as plans
from config.servers import postgres
from config.servers.broker import Broker
from config.servers.plan import Plan
from config.servers.postgres import Postgres
from config.servers.processes import gone


@contextmanager
def _a_folder() -> Iterator[Path]:
    """A short path that everybody may pass through, as a checkout usually is."""
    path = Path(tempfile.mkdtemp(prefix="kontor-test-", dir="/tmp"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        for lock in path.glob("*/servers.json"):
            servers.stop(lock.parent)
            broker = Path(Plan.of(lock.parent).broker)
            if not broker.is_relative_to(path):
                shutil.rmtree(broker)
        shutil.rmtree(path)


@pytest.fixture
def folder() -> Iterator[Path]:
    with _a_folder() as path:
        yield path


@pytest.fixture
def home(folder: Path) -> Path:
    """Where nothing was started yet."""
    return folder / "home"


@pytest.fixture(scope="module")
def used_home() -> Iterator[Path]:
    """Where servers have run before, and may run or not: each test leaves it to the next as it happens to be."""
    with _a_folder() as path:
        yield path / "home"


def _ask(home: Path, statement: str, *, role: str = "application"):
    plan = Plan.of(home)
    connection = psycopg2.connect(plan.owner_url if role == "owner" else plan.application_url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else None
    finally:
        connection.close()


def _pids(home: Path) -> tuple[int, int]:
    database, broker = Postgres(home).process(), Broker(home).process()
    assert database is not None
    assert broker is not None
    return database.pid, broker.pid


def _kill(pid: int) -> None:
    """The hard way; return when it is gone."""
    process = psutil.Process(pid)
    process.kill()
    assert gone(process, 10)


def _ended(pid: int) -> bool:
    try:
        return gone(psutil.Process(pid), 0)
    except psutil.NoSuchProcess:
        return True


def _ensured(home: Path) -> tuple[int, int, int | None]:
    servers.ensure(home)
    return (*_pids(home), servers.status(home).pid)


def test_processes_that_begin_at_once_share_one_pair_of_servers(home: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        seen = set(pool.map(_ensured, [home] * 4))

    assert len(seen) == 1
    for secret in ("servers.json", "servers.lock"):
        assert stat.S_IMODE((home / secret).stat().st_mode) == 0o600
    assert Plan.of(home).application_password not in "".join(
        path.read_text(errors="replace") for path in home.glob("*.log")
    )


def test_stopped_servers_are_gone_and_keep_their_data(used_home: Path) -> None:
    servers.ensure(used_home)
    database, broker = _pids(used_home)
    _ask(used_home, "create table kept (n int); insert into kept values (7)", role="owner")

    assert servers.stop(used_home) is True
    assert _ended(database)
    assert _ended(broker)
    assert servers.stop(used_home) is False

    servers.ensure(used_home)
    assert _ask(used_home, "select n from kept") == [(7,)]


def test_a_second_home_is_an_empty_installation(folder: Path) -> None:
    first, second = folder / "first", folder / "a second one, with blanks"
    servers.ensure(first)
    _ask(first, "create table only_in_the_first ()", role="owner")
    servers.ensure(second)

    assert _ask(first, "select count(*) from pg_tables where schemaname = 'public'") == [(1,)]
    assert _ask(second, "select count(*) from pg_tables where schemaname = 'public'") == [(0,)]
    assert set(_pids(first)).isdisjoint(_pids(second))
    assert len(str(Plan.of(second).socket)) < 100
    assert " " not in Plan.of(second).broker


def test_the_next_supervisor_takes_over_what_a_killed_one_left(used_home: Path) -> None:
    database, broker, supervisor = _ensured(used_home)
    assert supervisor
    _kill(supervisor)
    assert servers.status(used_home).pid is None

    assert _ensured(used_home)[:2] == (database, broker)
    assert servers.status(used_home).pid not in (None, 0, supervisor)


def test_servers_left_by_a_killed_supervisor_can_be_stopped(used_home: Path) -> None:
    database, broker, supervisor = _ensured(used_home)
    assert supervisor
    _kill(supervisor)

    assert servers.stop(used_home) is True
    assert _ended(database)
    assert _ended(broker)


def test_killed_servers_come_back_with_what_was_committed(used_home: Path) -> None:
    database, broker, supervisor = _ensured(used_home)
    _ask(used_home, "create table committed (n int); insert into committed values (7)", role="owner")
    _kill(database)
    _kill(broker)

    after = _ensured(used_home)
    assert after[0] != database
    assert after[1] != broker
    assert after[2] == supervisor
    assert _ask(used_home, "select n from committed") == [(7,)]


def test_a_stale_pid_file_hurts_neither_us_nor_its_new_owner(used_home: Path) -> None:
    database, _, supervisor = _ensured(used_home)
    assert supervisor
    _kill(supervisor)
    _kill(database)
    pid_file = used_home / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    # a program of the same system user: of others PostgreSQL itself says that they cannot be it
    user = (used_home / "postgres").stat().st_uid
    identity = {"user": user, "extra_groups": []} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "600"], cwd="/", **identity) as other:
        try:
            pid_file.write_text("\n".join([str(other.pid), *lines[1:]]))

            assert Postgres(used_home).process() is None
            servers.ensure(used_home)
            assert _ask(used_home, "select 1") == [(1,)]
            assert servers.stop(used_home) is True
            assert other.poll() is None
        finally:
            other.kill()


def test_a_port_that_was_taken_meanwhile_is_left_to_its_new_owner(used_home: Path) -> None:
    import socket

    servers.ensure(used_home, ["database"])
    servers.stop(used_home)
    before = Plan.of(used_home).port
    with socket.create_server(("127.0.0.1", before)):
        servers.ensure(used_home, ["database"])
    assert Plan.of(used_home).port != before
    assert _ask(used_home, "select 1") == [(1,)]


def test_only_what_is_needed_runs(home: Path) -> None:
    servers.ensure(home, [])
    assert servers.status(home).pid is None
    servers.ensure(home, ["broker"])
    assert servers.status(home).ready == {"broker"}
    assert not (home / "postgres").exists()
    servers.ensure(home, ["broker", "database"])
    assert servers.status(home).ready == {"broker", "database"}


def test_the_application_owns_nothing(used_home: Path) -> None:
    servers.ensure(used_home, ["database"])
    _ask(used_home, "create table before (); grant truncate on before to kontor_app", role="owner")
    with psycopg2.connect(Plan.of(used_home).owner_url) as connection:
        roles.grant_to_application(connection, "kontor_app")
    connection.close()
    _ask(used_home, "create table book (id serial primary key, n int)", role="owner")

    assert _ask(used_home, "insert into book (n) values (1); update book set n = 2; select n from book") == [(2,)]
    for forbidden in (
        "truncate before",
        "truncate book",
        "alter table book add m int",
        "drop table book",
        "create table mine ()",
        "create database mine",
        "create role mine",
        "alter table book disable trigger all",
        "set session_replication_role = replica",
        "create trigger t before insert on book for each row execute function suppress_redundant_updates_trigger()",
    ):
        with pytest.raises((psycopg2.errors.InsufficientPrivilege, psycopg2.errors.FeatureNotSupported)):
            _ask(used_home, forbidden)
    flags = "select rolsuper, rolcreatedb, rolcreaterole, rolbypassrls from pg_roles where rolname = current_user"
    assert _ask(used_home, flags) == [(False, False, False, False)]
    assert _ask(used_home, flags, role="owner") == [(False, True, False, False)]
    assert _ask(used_home, "show fsync") == [("on",)]
    assert _ask(used_home, "show timezone") == [("UTC",)]
    assert _ask(used_home, "show listen_addresses") == [("127.0.0.1",)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to run the database as another user")
def test_root_in_a_closed_folder_puts_the_data_where_the_database_can_reach_them(folder: Path, monkeypatch) -> None:
    monkeypatch.setattr(postgres, "ELSEWHERE", folder / "lib")  # the supervisor below runs in this process
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    home = closed / "var"
    plans.prepare(home)
    server = Postgres(home)
    try:
        server.start()
        data = Path(Plan.of(home).data or "")
        assert data.is_relative_to(folder / "lib")
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        process = server.process()
        assert process is not None
        assert process.uids().real != 0
        assert _ask(home, "select 1") == [(1,)]
    finally:
        server.stop()


def test_refusals_are_one_sentence(home: Path, monkeypatch) -> None:
    plans.prepare(home)
    monkeypatch.setattr(postgres, "LEAST_SPACE", 2**60)
    with pytest.raises(
        servers.ServerError, match=r"^The disk is full: .* Free some space, or set KONTOR_HOME to .*\.$"
    ):
        Postgres(home).start()
    assert not (home / "postgres").exists()

    (home / "servers.json").write_text("{")
    with pytest.raises(servers.ServerError, match=r"servers.json is damaged"):
        servers.ensure(home)
    (home / "servers.json").unlink()
    (home / "postgres").mkdir()
    with pytest.raises(servers.ServerError, match=r"servers.json is missing, and with it the passwords"):
        servers.ensure(home)


def test_mail_and_files_are_open_to_nobody_else(home: Path, settings, monkeypatch) -> None:
    monkeypatch.setenv("KONTOR_HOME", str(home))
    monkeypatch.delenv("EMAIL_URL", raising=False)
    (home / "mail").mkdir(mode=0o755, parents=True)
    settings.FILES_ROOT = home / "files"
    assert env.email_url() == f"filemail:///{home}/mail"
    assert stat.S_IMODE((home / "mail").stat().st_mode) == 0o700
    from tenants import staging  # here: processes that only start servers import this file without Django

    staging.store(BytesIO(b"tenant"))
    assert stat.S_IMODE((home / "files").stat().st_mode) == 0o700
