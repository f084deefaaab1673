"""Databases for tests and benchmarks: migrated once per state of the migrations by the owner, copied, dropped."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import uuid
from pathlib import Path
from typing import Any

import psycopg2
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from config.roles import grant_to_application

ROOT = Path(__file__).resolve().parent.parent


def _maintenance() -> Any:
    """A connection of the owner beside the databases that are made and dropped."""
    owner = settings.DATABASES["owner"]
    connection = psycopg2.connect(
        host=owner["HOST"], port=owner["PORT"], user=owner["USER"], password=owner["PASSWORD"], dbname="postgres"
    )
    connection.autocommit = True
    return connection


def _execute(statement: str) -> None:
    connection = _maintenance()
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


def _exists(name: str) -> bool:
    connection = _maintenance()
    try:
        with connection.cursor() as cursor:
            cursor.execute("select 1 from pg_database where datname = %s", [name])
            return cursor.fetchone() is not None
    finally:
        connection.close()


def use_database(name: str) -> None:
    """Let both aliases speak to the database ``name`` from now on."""
    for alias in ("default", "owner"):
        connections[alias].close()
        connections[alias].settings_dict["NAME"] = name
        settings.DATABASES[alias]["NAME"] = name


def migrated_template() -> str:
    """The migrated database that all others are copied from; made once for each state of the migrations."""
    digest = hashlib.sha256(settings.DATABASES["owner"]["USER"].encode())  # another role may not copy it
    others = [ROOT / "requirements.txt", ROOT / "config" / "roles.py", ROOT / "config" / "rights.py"]
    for path in sorted([*ROOT.glob("*/migrations/*.py"), *others]):
        digest.update(path.read_bytes())
    name = f"kontor_template_{digest.hexdigest()[:12]}"
    where = hashlib.sha256(str(settings.DATABASES["owner"]["PORT"]).encode()).hexdigest()[:8]
    with (Path(tempfile.gettempdir()) / f"kontor-template-{os.getuid()}-{where}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _exists(name):
            draft = f"{name}_{uuid.uuid4().hex[:8]}"
            _execute(f"create database {draft}")
            use_database(draft)
            call_command("migrate", database="owner", verbosity=0)
            grant_to_application(connections["owner"], settings.DATABASES["default"]["USER"])
            for alias in ("default", "owner"):
                connections[alias].close()
            _execute(f"alter database {draft} rename to {name}")
    return name


def copy_database(template: str) -> str:
    name = f"kontor_test_{uuid.uuid4().hex[:12]}"
    with (Path(tempfile.gettempdir()) / f"{template}-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a template is copied by one at a time
        _execute(f"create database {name} template {template}")
    connection = psycopg2.connect(
        **{
            key: settings.DATABASES["owner"][setting]
            for key, setting in [("host", "HOST"), ("port", "PORT"), ("user", "USER"), ("password", "PASSWORD")]
        },
        dbname=name,
    )
    with connection:
        grant_to_application(connection, settings.DATABASES["default"]["USER"])
    connection.close()
    return name


def drop_database(name: str) -> None:
    """Drop it once its sessions have ended: the server waits five seconds each time for those of ended processes.

    The owner may not end sessions of the application's role, so that force would fail on one that is just going.
    """
    for _ in range(6):
        try:
            return _execute(f"drop database if exists {name}")
        except psycopg2.errors.ObjectInUse:
            continue
    return _execute(f"drop database {name} with (force)")


def database_url(alias: str, name: str) -> str:
    entry = settings.DATABASES[alias]
    return f"postgres://{entry['USER']}:{entry['PASSWORD']}@{entry['HOST']}:{entry['PORT']}/{name}"
