"""The product as a clerk meets it: its own web process and worker on a database of one test's own, and a browser."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import pytest
from celery import Celery
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import PBKDF2PasswordHasher, make_password
from django.contrib.auth.models import Group
from django.db import connections
from django.utils import translation
from playwright.sync_api import Dialog, Page, ViewportSize, expect, sync_playwright

from config import env
from tenants.admin import figures
from tests.conftest import ROOT, OwnDatabase

Answer = TypeVar("Answer")

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SCREEN: ViewportSize = {"width": 1440, "height": 900}
CLERK = "clerk"
PASSWORD = "a clerk's own password"
PATIENCE = 60  # seconds after which something hangs
CORNER = 3 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 6  # of the broker, see broker_url


def broker_url() -> str:
    """The broker, but a corner of it where no other worker listens (tests/config/test_worker.py uses 9 to 14)."""
    url = env.broker_url()
    if url.startswith("redis+socket://"):
        return f"{url.partition('?')[0]}?virtual_host={CORNER}"
    if url.startswith("redis://"):
        return f"{url.rpartition('/')[0]}/{CORNER}"
    return url


@contextmanager
def process(*command: str, environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        running = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=environment, stdout=out, stderr=out)
        try:
            yield running
            assert running.poll() is None, log.read_text()
        finally:
            running.terminate()
            running.wait(PATIENCE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_served(url: str, log: Path, web: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url):
                return
        except (urllib.error.URLError, ConnectionError):
            assert web.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


def make_clerk() -> None:
    """Somebody who prepares and approves, as in a small company: two of the product's own roles, no superuser."""
    clerk = get_user_model().objects.create(
        username=CLERK, is_staff=True, password=make_password(PASSWORD, hasher=PBKDF2PasswordHasher())
    )
    clerk.groups.set(Group.objects.filter(name__in=["operator", "approver"]))


@pytest.fixture
def served(own_database: OwnDatabase, tmp_path: Path) -> Iterator[str]:
    """The address of the admin, with a worker behind it."""
    if not CHROMIUM.exists():
        pytest.skip(f"There is no browser at {CHROMIUM}: apt-get install chromium, or name another one in CHROMIUM.")
    make_clerk()
    environment = own_database.environment | {
        "CELERY_BROKER_URL": broker_url(),
        "KONTOR_HOME": str(tmp_path / "home"),
        "DJANGO_SETTINGS_MODULE": "config.settings.base",
    }
    with Celery("test", broker=broker_url(), set_as_current=False) as wakes:
        wakes.control.purge()
    port = free_port()
    (tmp_path / "home" / "static").mkdir(parents=True)
    web_log = tmp_path / "web.log"
    web = f"gunicorn config.wsgi --bind 127.0.0.1:{port} --threads 4 --no-control-socket --log-level warning"
    worker = "celery --quiet -A config worker --concurrency 1 --loglevel WARNING"
    with ExitStack() as running:
        running.enter_context(process(*worker.split(), environment=environment, log=tmp_path / "worker.log"))
        server = running.enter_context(process(*web.split(), environment=environment, log=web_log))
        address = f"http://127.0.0.1:{port}"
        wait_until_served(f"{address}/admin/login/", web_log, server)
        yield address


# What a person without a mouse or without eyes would miss: a field, button or link that nothing names.
NAMELESS = """
() => [...document.querySelectorAll("input:not([type=hidden]), select, textarea, button, a[href]")]
    .filter((one) => one.checkVisibility() && !(
        one.labels?.length || one.ariaLabel || one.getAttribute("aria-labelledby") || one.title || one.placeholder
        || one.textContent.trim() || one.querySelector("[alt], [title]")
    ))
    .map((one) => one.outerHTML.slice(0, 200))
"""


@dataclass
class Desk:
    """A browser before the admin. Whatever it complains of is kept: nothing may be there at the end."""

    page: Page
    address: str
    language: str
    pictures: Path
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Scripts and styles that the content security policy refuses arrive as errors of the console."""
        context = self.page.context
        context.on("console", lambda said: self.complain(said.text) if said.type in ("error", "warning") else None)
        context.on("weberror", lambda error: self.complain(str(error.error)))
        context.on("response", lambda answer: self.complain(answer.url) if answer.status >= 400 else None)
        context.on("dialog", self.agree)

    def complain(self, text: str) -> None:
        self.complaints.append(f"{self.page.url}: {text}")

    def agree(self, dialog: Dialog) -> None:
        self.asked.append(dialog.message)
        dialog.accept()

    def said(self, text: str, **facts: object) -> str:
        """A text of the product in the clerk's language."""
        with translation.override(self.language):
            return translation.gettext(text) % facts if facts else translation.gettext(text)

    def counted(self, one: str, many: str, count: int) -> str:
        with translation.override(self.language):
            text = translation.ngettext(one, many, count)
        return text % count if "%d" in text else text % {"count": count}

    def money(self, amount: str, currency: str = "EUR") -> str:
        with translation.override(self.language):
            return figures.money(Decimal(amount), currency)

    def go(self, section: str) -> None:
        self.page.locator("#nav-sidebar").get_by_role("link", name=self.said(section), exact=True).click()

    def follow(self, link: str) -> None:
        self.page.get_by_role("link", name=self.said(link), exact=True).click()

    def click(self, button: str) -> None:
        self.page.get_by_role("button", name=self.said(button), exact=True).click()

    def look(self, name: str) -> None:
        """Keep a picture of the whole page, and look for what no page may have: raw HTML, things without a name."""
        self.page.wait_for_load_state()
        if marks := re.findall(r"</?[a-z]+[^<>]*>|&[a-z]+;", self.page.locator("body").inner_text()):
            self.complain(f"raw HTML: {marks}")
        for nameless in self.page.evaluate(NAMELESS):
            self.complain(f"without a name: {nameless}")
        height = self.page.evaluate(
            "Math.max(...[...document.querySelectorAll('body, body *')].map((one) => one.scrollHeight))"
        )
        self.page.set_viewport_size(SCREEN | {"height": max(SCREEN["height"], min(height, 4000))})
        self.page.screenshot(path=self.pictures / f"{name}.png")
        self.page.set_viewport_size(SCREEN)


def from_database(question: Callable[[], Answer]) -> Answer:
    """Asked in a thread of its own: playwright keeps a loop in this one, inside which Django does not query."""

    def ask() -> Answer:
        try:
            return question()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(ask).result()


@pytest.fixture
def desk_in(served: str) -> Iterator[Callable[[str], Desk]]:
    """A clerk of the given language before a browser that prefers the other one.

    Pictures of what was seen are left below the home folder.
    """
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)

        def open_desk(language: str) -> Desk:
            pictures = env.home() / "screenshots" / language
            pictures.mkdir(parents=True, exist_ok=True)
            context = browser.new_context(
                locale={"de": "en", "en": "de"}[language],
                timezone_id="Europe/Berlin",
                viewport=SCREEN,
            )
            context.set_default_timeout(PATIENCE * 1000)
            desk = Desk(context.new_page(), served, language, pictures)
            desk.listen()
            return desk

        yield open_desk
        browser.close()
