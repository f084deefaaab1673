"""Web, worker and beat of one machine, started together and stopped together."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from threading import Event
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from config.env import ROOT

PATIENCE = 25  # seconds that a worker gets for the task at hand


class Command(BaseCommand):
    help = "Serve the pages, work off the tasks and keep the timetable until stopped with Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, **options: Any) -> None:
        host, port = options["host"], options["port"]
        _refuse_taken(host, port)
        stopping = Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopping.set())
        commands = {
            "web": f"gunicorn config.wsgi --bind {host}:{port} --threads 8 --no-control-socket --log-level warning",
            "worker": "celery --quiet --app config worker --loglevel WARNING --concurrency 2",
            "beat": "celery --quiet --app config beat --loglevel WARNING --pidfile=",
        }
        Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
        # each in a session of its own: Ctrl-C reaches us alone, and we pass it on once
        processes = {
            name: subprocess.Popen([sys.executable, "-m", *command.split()], cwd=ROOT, start_new_session=True)
            for name, command in commands.items()
        }
        try:
            self.stdout.write(_("Kontor is served at http://%(host)s:%(port)s/ (stop with Ctrl-C)") % options)
            self.stdout.flush()
            while not stopping.wait(0.5):
                ended = [name for name, process in processes.items() if process.poll() is not None]
                if ended:
                    raise CommandError(
                        _("The part “%(name)s” has ended by itself; its last words stand above.") % {"name": ended[0]}
                    )
        finally:
            _stop(list(processes.values()))


def _refuse_taken(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            raise CommandError(
                _("Port %(port)s is taken or not allowed: choose another, for example make run PORT=%(other)s.")
                % {"port": port, "other": port + 80 if port > 1023 else 8080}
            ) from None


def _stop(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + PATIENCE
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()  # what it was at is found again: every step is a transaction
            process.wait()
