"""The page for the tax audit: ranges without gap, cancelled documents, and the ZIP file of documents."""

from __future__ import annotations

import io
import zipfile

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from tenants.models import Activity
from tests.small_book import make_small_book

pytestmark = pytest.mark.django_db
DAYS = {"first": "2026-01-01", "through": "2026-12-31"}


@pytest.fixture(autouse=True)
def files_root(tmp_path, settings):
    settings.FILES_ROOT = tmp_path


def reader(client, *permissions: str) -> None:
    user = User.objects.create_user("auditor", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client.force_login(user)


def test_the_ranges_say_that_no_number_is_missing(admin_client):
    make_small_book()
    admin_client.cookies["django_language"] = "de"
    response = admin_client.get(reverse("audit"))
    rows = {row["prefix"]: row for row in response.context["ranges"]}
    assert (rows["RE-2026-"]["numbers"], rows["RE-2026-"]["count"]) == ("RE-2026-00001 – RE-2026-00004", "4")
    assert (rows["RK-2026-"]["numbers"], rows["RK-2026-"]["kept_through"]) == (
        "RK-2026-00001 – RK-2026-00001",
        "31.12.2034",
    )
    html = response.content.decode()
    assert "lückenlos" in html
    assert "Kein Beleg wurde storniert." in html


def test_the_export_is_a_zip_file_and_on_record(admin_client):
    make_small_book()
    response = admin_client.post(reverse("audit_export"), DAYS)
    assert response.headers["Content-Disposition"] == 'attachment; filename="documents-2026-01-01-2026-12-31.zip"'
    with zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content))) as packed:
        assert len(packed.read("index.csv").splitlines()) == 6
        assert packed.read("MAIN/RE-2026-00001.pdf").startswith(b"%PDF")
    (noted,) = Activity.objects.filter(action="export")
    assert (noted.actor, noted.channel, noted.after["rows"]) == ("admin", "admin", 5)


@pytest.mark.parametrize(
    ("days", "sentence"),
    [
        ({"first": "2026-12-31", "through": "2026-01-01"}, "The first day is after the last."),
        ({"first": "1999-01-01", "through": "1999-12-31"}, "No document was issued on these days."),
        ({"first": "", "through": "2026-12-31"}, "This field is required."),
    ],
)
def test_days_without_documents_are_refused_in_a_sentence(admin_client, days, sentence):
    make_small_book()
    admin_client.cookies["django_language"] = "en"
    response = admin_client.post(reverse("audit_export"), days)
    assert response.status_code == 200
    assert sentence in response.content.decode()
    assert not Activity.objects.filter(action="export").exists()


def test_who_may_only_look_gets_no_export(client):
    reader(client, "view_numberrange")
    assert client.get(reverse("audit")).context["form"] is None
    assert client.post(reverse("audit_export"), DAYS).status_code == 403


def test_who_may_not_look_sees_nothing(client):
    reader(client, "view_invoice")
    assert client.get(reverse("audit")).status_code == 403
