#!/usr/bin/env python
"""Run a command; the servers it needs are started first. What is refused ends in one sentence and exit code 1.

Commands speak the language of the environment (LANG), German or English; the installation's if it says neither.
"""

import os
import sys

# These work without a database. Whatever is not named here gets one.
WITHOUT_SERVERS = {
    "check",
    "collectstatic",
    "compilemessages",
    "diffsettings",
    "help",
    "makemessages",
    "servers",
    "stop_servers",
    "version",
}


def needs_servers(arguments: list[str]) -> bool:
    """Whether ``arguments``, those after manage.py, name a command that reads the database or talks to the broker."""
    names = [argument for argument in arguments[:1] if not argument.startswith("-")]
    return bool(names) and names[0] not in WITHOUT_SERVERS and not {"-h", "--help"} & set(arguments)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
    try:
        import django
        from django.core.management import execute_from_command_line
        from django.utils import translation
    except ImportError:
        sys.exit("Django is not installed for this Python: run `make demo` once, then use .venv/bin/python manage.py.")
    from config import env, servers
    from config.outages import outage
    from tenants.errors import OperatorError

    try:
        if needs_servers(sys.argv[1:]):
            servers.ensure(env.home(), env.embedded())
        django.setup()
        from tenants.terminal import language_of_environment

        with translation.override(language_of_environment()):
            execute_from_command_line(sys.argv)
    except OperatorError as refusal:
        sys.exit(str(refusal))
    except Exception as error:
        sentence = outage(error)
        if sentence is None:
            raise
        sys.exit(sentence)


if __name__ == "__main__":
    main()
