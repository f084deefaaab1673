"""What a worker does with an import when it is not alone, and when something breaks."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from django.contrib.auth.models import User
from django.db import connection

from tenants import staging, tenant_import
from tenants.models import ImportBatch, Tenant
from tests.concurrency import in_thread, wait_until_blocked

RECIPES = {tenant_import.RECIPE.kind: tenant_import.RECIPE}


@pytest.fixture
def clerk(own_database, settings, tmp_path) -> User:
    settings.FILES_ROOT = tmp_path
    return User.objects.create_user("clerk")


def offered() -> ImportBatch:
    """A batch that its page has just given to a worker."""
    file = io.BytesIO(b"tenant;tenant_name;country;currency;price_class\r\nA;Anton;DE;EUR;1\r\n")
    batch = staging.offer(tenant_import.RECIPE, file, file_name="tenants.csv")
    ImportBatch.objects.filter(pk=batch.pk).update(counts=batch.counts | {"applying": 1})
    return batch


def test_a_worker_waits_for_the_import_before_it(clerk):
    batch = offered()
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("select pg_advisory_lock(%s)", [staging.IMPORT_LOCK])
        worker = in_thread(lambda: staging.apply_for(RECIPES, batch.pk, clerk.pk, language="de"))
        wait_until_blocked()
    finally:
        other.close()
    worker.result(timeout=30)
    batch.refresh_from_db()
    assert (batch.state, "applying" in batch.counts) == ("applied", False)
    assert Tenant.objects.get().name == "Anton"


def test_what_breaks_leaves_an_import_that_can_be_taken_in_again(clerk):
    batch = offered()

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        staging.apply_for({batch.kind: replace(tenant_import.RECIPE, write=broken)}, batch.pk, clerk.pk, language="de")
    batch.refresh_from_db()
    assert (batch.state, "applying" in batch.counts, Tenant.objects.count()) == ("read", False, 0)
    staging.apply_for(RECIPES, batch.pk, clerk.pk, language="de")
    assert Tenant.objects.get().name == "Anton"


def test_a_refusal_that_comes_late_does_not_hide_what_was_taken_in(clerk, monkeypatch):
    batch = offered()
    staging.apply(tenant_import.RECIPE, batch, actor="clerk", channel="import")

    def refused(*_: object, **__: object) -> None:
        raise staging.Outdated("Row 2 would no longer do what was shown.")

    monkeypatch.setattr(staging, "apply_all", refused)  # of a click before, that ends after
    with pytest.raises(staging.Outdated):
        staging.apply(tenant_import.RECIPE, batch, actor="clerk", channel="import")
    batch.refresh_from_db()
    assert (batch.state, batch.refusal) == ("applied", "")
