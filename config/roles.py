"""The two database roles: the owner migrates; the application's role owns nothing and can neither truncate nor alter.

Plain SQL, on any database and any connection with a cursor (Django's or psycopg2's).
"""

from collections.abc import Sequence
from typing import Any


def grant_to_application(owner_connection: Any, app_role: str) -> None:
    """Let ``app_role`` read and write what the connection's role owns in schema public, now and later.

    May be repeated. Does nothing if both are the same role: an owner cannot be kept from its own tables.
    """
    app = _quoted(app_role)
    with owner_connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_database()")
        owner, database = cursor.fetchone()
        if owner == app_role:
            return
        for statement in (
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
            f"GRANT CONNECT, TEMPORARY ON DATABASE {_quoted(database)} TO {app}",
            f"GRANT USAGE ON SCHEMA public TO {app}",
            f"REVOKE TRUNCATE, REFERENCES, TRIGGER ON ALL TABLES IN SCHEMA public FROM {app}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {app}",
            f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {app}",
            f"GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {app}",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app}",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {app}",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT EXECUTE ON FUNCTIONS TO {app}",
        ):
            cursor.execute(statement)
    _pin_functions(owner_connection)


def _pin_functions(owner_connection: Any) -> None:
    """Let the owner's functions see the tables of schema public alone.

    PostgreSQL looks for tables among the session's temporary ones first: whoever made one called invoicing_invoice,
    empty, would have the guards find no document issued. Replacing a function drops this: migrations set it anew.
    """
    path = "search_path=public, pg_temp"
    with owner_connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_language l ON l.oid = prolang"
            " WHERE pronamespace = 'public'::regnamespace AND lanname = 'plpgsql'"
            " AND pg_get_userbyid(proowner) = current_user"
            " AND NOT coalesce(proconfig, '{}') @> ARRAY[%s]",
            [path],
        )
        for (function,) in cursor.fetchall():
            cursor.execute(f"ALTER FUNCTION {function} SET search_path = public, pg_temp")


def create_roles(superuser_connection: Any, owner: tuple[str, str], application: tuple[str, str]) -> None:
    """Make both roles, given as (name, password), or set them right. The owner may create databases (for tests)."""
    with superuser_connection.cursor() as cursor:
        for (name, password), rights in ((owner, "CREATEDB"), (application, "NOCREATEDB")):
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name])
            verb = "ALTER" if cursor.fetchone() else "CREATE"
            cursor.execute(
                f"{verb} ROLE {_quoted(name)} LOGIN NOSUPERUSER NOCREATEROLE NOBYPASSRLS {rights} PASSWORD %s",
                [password],
            )


def create_database(superuser_connection: Any, database: str, owner: str) -> None:
    """Make ``database`` for ``owner`` if it does not exist. The connection must be in autocommit mode."""
    with superuser_connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
        found: Sequence[Any] | None = cursor.fetchone()
        if not found:
            cursor.execute(
                f"CREATE DATABASE {_quoted(database)} OWNER {_quoted(owner)} ENCODING 'UTF8' TEMPLATE template0"
            )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
