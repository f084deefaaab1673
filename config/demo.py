"""The main job walked once, on a sample: imports, bill run, documents. Repeated, it finds everything done."""

from __future__ import annotations

import multiprocessing
import os
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path

import django
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connections
from django.utils.translation import gettext as _

from billing import catalog_import, contract_import
from config import env
from config.servers.plan import written_once
from invoicing import bill_run, pdf
from invoicing.models import BillRun, Invoice
from tenants import issuer_import, staging, tenant_import
from tenants.import_rows import CHANGED, NEW
from tenants.models import Access, ImportBatch, Issuer, Tenant
from tenants.transactions import acting

DAY = date(2026, 2, 1)
USER = "demo"
CUSTOMER = "kunde"
FILES = (
    ("issuer.csv", issuer_import.RECIPE),
    ("catalog.csv", catalog_import.RECIPE),
    ("tenants.csv", tenant_import.RECIPE),
    ("contracts.csv", contract_import.RECIPE),
)


def sample_folder() -> Path:
    """The large sample beside the checkout if it is there, the product's own otherwise."""
    beside = settings.BASE_DIR.parent / "shared" / "samples" / "book"
    return beside if (beside / "contracts.csv").is_file() else settings.BASE_DIR / "docs" / "sample"


def take_in(folder: Path) -> Iterator[ImportBatch]:
    """Import the four files of a sample, and tell of each."""
    for name, recipe in FILES:
        issuer = Issuer.objects.first() if recipe is contract_import.RECIPE else None
        with (folder / name).open("rb") as file:
            batch = staging.offer(recipe, file, file_name=name, issuer=issuer)
        staging.apply(recipe, batch, actor=USER, channel="demo")
        yield batch


def taken(batch: ImportBatch) -> int:
    return batch.counts[NEW] + batch.counts[CHANGED]


def start_run(issuer: Issuer) -> BillRun:
    with acting(actor=USER, channel="demo"):
        return bill_run.start(issuer=issuer, through=DAY, issue_on=DAY, issues_by_itself=True)


def outlook(issuer: Issuer) -> str:
    """What the timetable makes of the book as long as the servers run: the demo bills one day, the nights all since."""
    if issuer.issues_by_itself:
        return _(
            "As long as make run keeps running, the timetable bills from the next night on all that is due by then and"
            " issues it at once. If you do not want that, switch off “the nightly run issues by itself” at the issuer"
            " %(issuer)s first; then drafts wait for you."
        ) % {"issuer": issuer.reference}
    return _(
        "As long as make run keeps running, the timetable bills from the next night on all that is due by then; its"
        " drafts wait until you release them."
    )


def unprinted() -> list[int]:
    """Issued documents without a PDF."""
    return list(Invoice.objects.issued().unprinted().order_by("pk").values_list("pk", flat=True))


def print_all(documents: list[int], advance: Callable[[int], None]) -> None:
    """Make the PDFs in as many processes as there are cores; each takes what no other has."""
    if not documents:
        return
    connections.close_all()  # not to be shared with the processes
    cores = min(os.cpu_count() or 1, 4)
    parts = [documents[start : start + 10] for start in range(0, len(documents), 10)]
    with ProcessPoolExecutor(cores, multiprocessing.get_context("spawn"), initializer=django.setup) as pool:
        for made in pool.map(print_some, parts):
            advance(made)


def print_some(documents: list[int]) -> int:
    for document in documents:
        pdf.render_document(document)
    return len(documents)


def ensure_user() -> str:
    """Somebody to sign in as; the password, made once and kept below the home folder."""
    password = written_once(env.home() / "demo_password", secrets.token_urlsafe(12))
    users = get_user_model().objects
    if not users.filter(username=USER).exists():
        users.create_superuser(USER, "demo@example.com", password)
    return password


def ensure_customer() -> tuple[Tenant, str] | None:
    """Somebody of a group, else of any account with a document, to sign in to the portal as; with all rights there."""
    documents = Invoice.objects.issued().order_by("recipient__tree_id", "recipient__lft")
    group = documents.filter(recipient__parent=None, recipient__children__isnull=False).first() or documents.first()
    if group is None:
        return None
    password = written_once(env.home() / "demo_portal_password", secrets.token_urlsafe(12))
    users = get_user_model().objects
    user = users.filter(username=CUSTOMER).first()
    if user is None:
        user = users.create_user(CUSTOMER, "kunde@example.com", password)
        Access.objects.create(user=user, tenant=group.recipient, **dict.fromkeys(Access.RIGHTS, True))
    access = Access.objects.filter(user=user).select_related("tenant").first()
    return (access.tenant if access else group.recipient), password
