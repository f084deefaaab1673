"""Roles and a database for CI on the PostgreSQL and the Redis that answer on the loopback, or a sentence why not.

``make`` prints the environment to use, as shell exports; ``drop`` removes everything again. Names of their own keep
an installation on the same server untouched.
"""

import secrets
import sys
from pathlib import Path

import psycopg2
import redis

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from config import roles

OWNER, APPLICATION, DATABASE = "kontor_ci_owner", "kontor_ci_app", "kontor_ci"
BROKER = "redis://127.0.0.1:6379/5"


def superuser():
    connection = psycopg2.connect(host="127.0.0.1", port=5432, user="postgres", dbname="postgres", connect_timeout=3)
    connection.autocommit = True
    return connection


def make() -> None:
    try:
        connection = superuser()
        redis.Redis.from_url(BROKER, socket_timeout=3).ping()
    except (psycopg2.Error, redis.RedisError) as error:
        reason = str(error).strip().splitlines()[0]
        print(f"Not repeated against real servers, since PostgreSQL or Redis does not let us in: {reason}")
        sys.exit(1)
    passwords = {role: secrets.token_urlsafe(24) for role in (OWNER, APPLICATION)}
    roles.create_roles(connection, (OWNER, passwords[OWNER]), (APPLICATION, passwords[APPLICATION]))
    roles.create_database(connection, DATABASE, OWNER)
    for variable, role in (("DATABASE_URL", APPLICATION), ("DATABASE_OWNER_URL", OWNER)):
        print(f"export {variable}=postgresql://{role}:{passwords[role]}@127.0.0.1:5432/{DATABASE}")
    print(f"export CELERY_BROKER_URL={BROKER}")


def drop() -> None:
    with superuser().cursor() as cursor:  # no transaction: DROP DATABASE refuses to run in one
        cursor.execute(
            "SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = %s AND NOT datistemplate", [OWNER]
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        for role in (APPLICATION, OWNER):
            cursor.execute(f"DROP ROLE IF EXISTS {role}")


{"make": make, "drop": drop}[sys.argv[1]]()
