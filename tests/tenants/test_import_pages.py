"""The import and export pages, walked as a clerk walks them."""

from __future__ import annotations

import io
import re

import openpyxl
import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import translation

from billing import tasks as billing_tasks
from billing.models import Subscription
from tenants import staging, tasks
from tenants.cells import cleaned, neutralised
from tenants.models import Activity, ImportBatch, Tenant
from tests.builders import make_issuer, make_item, make_price, make_price_class, make_product, make_tenant

pytestmark = pytest.mark.django_db

TENANTS = "tenant;tenant_name;country;currency;price_class\r\n"


@pytest.fixture(autouse=True)
def kept_apart(settings, tmp_path):
    settings.FILES_ROOT = tmp_path


@pytest.fixture
def clerk(client):
    user = User.objects.create_user("clerk", is_staff=True)
    names = ["import_tenant", "export_tenant", "view_tenant", "import_subscription", "export_subscription"]
    user.user_permissions.set(Permission.objects.filter(codename__in=[*names, "view_subscription"]))
    client.force_login(user)
    client.cookies["django_language"] = "en"
    return client


def upload(client, text, url, **fields):
    file = SimpleUploadedFile("book.csv", text.encode())
    return client.post(url, {"import_file": file, "format": "0", "resource": "0", **fields})


def said(response):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def admin_url():
    from django.urls import reverse

    return reverse("admin:tenants_tenant_import")


def test_upload_look_and_take_in(clerk):
    url = admin_url()
    assert "as the file says" in said(clerk.get(url))
    make_tenant(reference="B", name="Alt", price_class=1)
    looked = upload(clerk, TENANTS + "A;Wurzel;DE;EUR;2\r\nB;Neu;DE;EUR;1\r\n", url)
    batch = ImportBatch.objects.get()
    assert (looked.status_code, batch.created_by.username) == (302, "clerk")
    page = said(clerk.get(looked.url))
    assert "encoding UTF-8, delimiter “;”, decimal sign “,”, dates yyyy-mm-dd" in page
    assert "2 A new tenant_name Wurzel · country DE · currency EUR · price_class 2" in page
    assert "3 B changed tenant_name Alt → Neu" in page
    assert Tenant.objects.count() == 1
    taken = clerk.post(url.replace("import/", "process_import/"), {"batch": batch.pk}, follow=True)
    assert "2 rows were taken in." in said(taken)
    assert sorted(Tenant.objects.values_list("reference", "name")) == [("A", "Wurzel"), ("B", "Neu")]
    assert set(Activity.objects.filter(table="tenants_tenant", actor="clerk").values_list("channel", "reason")) == {
        ("import", "book.csv")
    }
    assert "Take in" not in said(clerk.get(looked.url))


def test_bad_rows_are_named_and_only_left_out_on_request(clerk):
    url = admin_url()
    looked = upload(clerk, TENANTS + "A;Wurzel;DE;EUR;2\r\nB;Neu;DE;EUR;x\r\n", url)
    page = said(clerk.get(looked.url))
    assert "3 B in error price_class “x” is not a whole number" in page
    assert "Take in" not in page
    refused = clerk.post(
        url.replace("import/", "process_import/"), {"batch": ImportBatch.objects.get().pk}, follow=True
    )
    assert "1 row cannot be taken, so nothing of the file was." in said(refused)
    assert Tenant.objects.count() == 0
    looked = upload(clerk, TENANTS + "A;Wurzel;DE;EUR;2\r\nB;Neu;DE;EUR;x\r\n", url)
    fields = {"encoding": "utf-8", "delimiter": ";", "decimal": ",", "dates": "iso", "skip_bad": "on", "resource": "0"}
    again = clerk.post(looked.url, {**fields, "format": "0"})
    assert again.url != looked.url
    assert "Take in" in said(clerk.get(again.url))
    clerk.post(url.replace("import/", "process_import/"), {"batch": ImportBatch.objects.first().pk})
    assert list(Tenant.objects.values_list("reference", flat=True)) == ["A"]


def test_a_malformed_file_is_refused_on_the_form(clerk):
    url = admin_url()
    answer = upload(clerk, "tenant;tenant\r\nA;B\r\n", url)
    assert "Row 1 names a column twice: tenant." in said(answer)
    assert ImportBatch.objects.count() == 0


def test_in_german(clerk):
    clerk.cookies["django_language"] = "de"
    looked = upload(clerk, TENANTS + "B;Neu;DE;EUR;x\r\n", admin_url())
    page = said(clerk.get(looked.url))
    assert "2 B fehlerhaft price_class „x“ ist keine ganze Zahl" in page
    assert "Unterschiede Zeile für Zeile 1 Zeile" in page


def test_importing_is_a_right_of_its_own(clerk, client):
    user = User.objects.create_user("reader", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_tenant", "change_tenant"]))
    url = admin_url()
    looked = upload(clerk, TENANTS + "A;Wurzel;DE;EUR;2\r\n", url)
    client.force_login(user)
    for address in (url, looked.url, looked.url + "progress/", url.replace("import/", "export/")):
        assert client.get(address).status_code == 403
    for address in (looked.url, url.replace("import/", "process_import/")):
        assert client.post(address, {"batch": ImportBatch.objects.get().pk}).status_code == 403
    assert Tenant.objects.count() == 0


def test_a_batch_of_another_kind_is_not_found(clerk):
    looked = upload(clerk, TENANTS + "A;Wurzel;DE;EUR;2\r\n", admin_url())
    ImportBatch.objects.update(kind=ImportBatch.Kind.ISSUERS)
    assert clerk.get(looked.url).status_code == 404
    answer = clerk.post(admin_url().replace("import/", "process_import/"), {"batch": ImportBatch.objects.get().pk})
    assert (answer.status_code, Tenant.objects.count()) == (404, 0)


def test_a_long_file_is_a_workers(clerk, monkeypatch, django_capture_on_commit_callbacks):
    monkeypatch.setattr("tenants.admin.sheets.AT_ONCE", 1)
    woken = []
    monkeypatch.setattr("tenants.admin.sheets.wake", lambda task, **facts: woken.append((task, facts)))
    url = admin_url()
    looked = upload(clerk, TENANTS + "A;Wurzel;DE;EUR;2\r\nB;Neu;DE;EUR;1\r\n", url)
    assert (clerk.get(looked.url + "progress/").json()) == {
        "percent": 0,
        "text": "0 of 2 rows read",
        "finished": False,
    }
    (task, facts) = woken.pop()
    assert task == "tenants.look_import"
    tasks.look_import(**facts)
    assert clerk.get(looked.url + "progress/").json()["finished"] is True
    clerk.post(url.replace("import/", "process_import/"), {"batch": ImportBatch.objects.get().pk})
    assert clerk.get(looked.url + "progress/").json() == {
        "percent": 80,
        "text": "2 rows are being taken in",
        "finished": False,
    }
    (task, facts) = woken.pop()
    assert (task, Tenant.objects.count()) == ("tenants.apply_import", 0)
    tasks.apply_import(**facts)
    tasks.apply_import(**facts)
    assert (Tenant.objects.count(), ImportBatch.objects.get().counts["new"]) == (2, 2)
    assert clerk.get(looked.url + "progress/").json()["finished"] is True
    assert billing_tasks.RECIPES.keys() == {"catalog", "contracts", "usage"}


@pytest.mark.parametrize("text", ["=1+1", "+49 7525", "-x", "@sum", "'=1", "''+1", "'quoted'", "plain", "O'Neill"])
def test_a_neutralised_text_comes_back_as_it_was(text):
    assert cleaned(neutralised(text)) == text
    assert neutralised(text)[0] not in "=+-@"


def test_an_exported_sheet_is_unchanged_when_imported_again(clerk, settings):
    tenant = make_tenant(reference="T1", name="=1+1 GmbH", vat_id="ATU12345678", country="AT")
    make_tenant(reference="T2", parent=tenant, invoice_to=tenant, pay_by=tenant, price_class=None, currency="")
    url = admin_url().replace("import/", "export/")
    answer = clerk.post(url, {"format": "0", "resource": "0"})
    text = answer.content.decode()
    assert text.startswith("\ufefftenant;tenant_name;kind;parent;")
    assert "\r\nT1;'=1+1 GmbH;company;;" in text
    looked = upload(clerk, text.removeprefix("\ufeff"), admin_url())
    assert (looked.status_code, ImportBatch.objects.get().counts["unchanged"]) == (302, 2)
    activity = Activity.objects.get(action="export")
    assert (activity.actor, activity.table, activity.after) == ("clerk", "tenants_tenant", {"rows": 2, "format": "csv"})
    sheet = openpyxl.load_workbook(io.BytesIO(clerk.post(url, {"format": "1", "resource": "0"}).content)).active
    assert [cell.value for cell in sheet[2]][:2] == ["T1", "'=1+1 GmbH"]
    assert [cell.value for cell in sheet[2]][15] == 1  # the price class: a number


def test_contracts_export_as_they_were_agreed(clerk):
    issuer = make_issuer(reference="MAIN")
    price = make_price(product=make_product(reference="SEAT"), price_class=make_price_class(1))
    make_tenant(reference="T1", price_class=1)
    from django.urls import reverse

    header = (
        "contract;tenant;product;quantity;starts_on;last_day;trial_days;discount_percent;discount_periods;po_number"
    )
    url = reverse("admin:billing_subscription_import")
    text = header + "\r\nV1;T1;SEAT;1,5;01.01.2026;31.12.2026;14;12,5;3;=PO\r\n"
    looked = upload(clerk, text, url, issuer=issuer.pk)
    clerk.post(url.replace("import/", "process_import/"), {"batch": looked.url.rstrip("/").rpartition("/")[2]})
    subscription = Subscription.objects.get()
    make_item(subscription=subscription, price=make_price(product=price.product, price_class=make_price_class(2)))
    exported = clerk.post(reverse("admin:billing_subscription_export"), {"format": "0", "resource": "0"}).content
    lines = exported.decode().splitlines()
    assert lines[1:] == ["V1;T1;SEAT;1.5;2026-01-01;2026-12-31;;14;;;;12.5;;3;'=PO;;;monthly;"]
    looked = upload(clerk, exported.decode().removeprefix("\ufeff"), url, issuer=issuer.pk)
    with translation.override("en"):
        batch = ImportBatch.objects.first()
        assert [str(error) for row in batch.rows.all() for error in staging.errors_of(row)] == []
        assert batch.counts["unchanged"] == 1


def sign_in_again(clerk, user) -> None:
    """A session ends with the rights it began with."""
    clerk.logout()
    clerk.force_login(user)
    clerk.cookies["django_language"] = "en"


def test_an_import_leads_from_its_record_to_the_page_where_it_is_taken_in(clerk):
    looked = upload(clerk, TENANTS + "A;Wurzel;DE;EUR;2\r\n", admin_url())
    record = f"/admin/tenants/importbatch/{ImportBatch.objects.get().pk}/change/"
    assert clerk.get(record).status_code == 403
    user = User.objects.get(username="clerk")
    user.user_permissions.add(Permission.objects.get(codename="view_importbatch"))
    sign_in_again(clerk, user)
    page = clerk.get(record)
    assert f'href="{looked.url}"' in page.content.decode()
    assert "Compare and take in" in said(page)
    assert "encoding UTF-8, delimiter “;”" in said(page)
    user.user_permissions.remove(Permission.objects.get(codename="import_tenant"))
    sign_in_again(clerk, user)
    assert looked.url not in clerk.get(record).content.decode()
