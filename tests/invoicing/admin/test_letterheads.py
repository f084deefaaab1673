"""The pages of letterheads and texts: what they refuse, and a sample that keeps nothing."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from invoicing.models import Letterhead, LetterText
from tenants.models import Activity, File
from tests.builders import make_issuer
from tests.invoicing.test_letterheads import picture
from tests.invoicing.test_pdf import words_of

pytestmark = pytest.mark.django_db
HEAD = "admin:invoicing_letterhead"
TEXT = "admin:invoicing_lettertext"


@pytest.fixture(autouse=True)
def kept_here(settings, tmp_path):
    settings.LANGUAGE_CODE = "en"
    settings.FILES_ROOT = tmp_path


@pytest.fixture
def issuer():
    return make_issuer()


def head(issuer, **changed):
    return {"issuer": issuer.pk, "colour": "#7a1f3d", "foot_1": "", "foot_2": "", "foot_3": "", "foot_4": "", **changed}


def text(issuer, **changed):
    empty = dict.fromkeys(("opening", "closing", "mail_subject", "mail_body"), "")
    return {"issuer": issuer.pk, "kind": "invoice", "language": "de", **empty, **changed}


def upload(content: bytes, name: str = "logo.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, content_type="image/png")


def test_a_sample_shows_what_was_entered_and_keeps_nothing(admin_client, issuer):
    sent = head(issuer, upload=upload(picture()), foot_2="Eigene Zeile", language="en")
    answer = admin_client.post(reverse(f"{HEAD}_preview"), sent)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
    assert answer["X-Frame-Options"] == "SAMEORIGIN"
    assert "Eigene Zeile" in words_of(answer.content) and "Invoice" in words_of(answer.content)
    assert b"/Image" in answer.content
    assert not Letterhead.objects.exists() and not File.objects.exists()


def test_a_logo_is_kept_replaced_and_taken_away(admin_client, issuer):
    admin_client.post(reverse(f"{HEAD}_add"), head(issuer, upload=upload(picture())))
    kept = Letterhead.objects.get()
    first = kept.logo
    assert first is not None and first.content_type == "image/png" and first.path.startswith(f"logos/{issuer.pk}/")
    change = reverse(f"{HEAD}_change", args=[kept.pk])
    admin_client.post(change, head(issuer, colour="#000000"))
    kept.refresh_from_db()
    assert (kept.logo, kept.colour) == (first, "#000000")
    sample = admin_client.post(reverse(f"{HEAD}_preview"), head(issuer, record=kept.pk))
    assert b"/Image" in sample.content
    admin_client.post(change, head(issuer, upload=upload(picture("RGB"))))
    kept.refresh_from_db()
    assert kept.logo != first
    admin_client.post(change, head(issuer, without_logo="on"))
    kept.refresh_from_db()
    assert kept.logo is None
    assert Activity.objects.filter(table="invoicing_letterhead").count() == 4


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"colour": "#ffee00"}, "hard to read on white: its contrast is 1.2 : 1"),
        ({"colour": "red"}, "six digits"),
        ({"foot_3": "Filiale 東京"}, "lacks these characters: 東 京"),
        ({"upload": b"<svg/>"}, "neither a PNG nor a JPEG"),
    ],
)
def test_what_cannot_be_printed_is_refused_in_the_form_and_in_the_sample(admin_client, issuer, changed, said):
    for page in ("add", "preview"):
        values = {name: upload(value) if isinstance(value, bytes) else value for name, value in changed.items()}
        answer = admin_client.post(reverse(f"{HEAD}_{page}"), head(issuer, **values))
        assert answer.status_code == 200 and said in answer.content.decode()
    assert not Letterhead.objects.exists()


def test_an_unknown_placeholder_is_refused_with_those_there_are(admin_client, issuer):
    for page in ("add", "letter", "mail"):
        answer = admin_client.post(reverse(f"{TEXT}_{page}"), text(issuer, mail_body="Hallo {name} {level}"))
        said = answer.content.decode()
        assert "{name}, {level} is no placeholder of this kind of letter. There are: {customer}, {issuer}" in said
    answer = admin_client.post(reverse(f"{TEXT}_add"), text(issuer, opening="Grüße 東"))
    assert "lacks these characters: 東" in answer.content.decode()
    assert not LetterText.objects.exists()


@pytest.mark.parametrize("kind", LetterText.Kind.values)
@pytest.mark.parametrize("language", ["de", "en"])
def test_letter_and_mail_are_shown_side_by_side(admin_client, issuer, kind, language):
    own = {"opening": "Hallo {customer} <b>x</b>", "closing": "Bis bald, {issuer}", "mail_body": "<i>{number}</i>"}
    sent = text(issuer, kind=kind, language=language, **own)
    said = words_of(admin_client.post(reverse(f"{TEXT}_letter"), sent).content)
    customer = {"de": "Muster Kunde GmbH", "en": "Sample Customer Ltd"}[language]
    assert f"Hallo {customer} <b>x</b>" in said and "Bis bald, Beispiel Telefonie GmbH" in said
    mail = admin_client.post(reverse(f"{TEXT}_mail"), sent).content.decode()
    assert "&lt;i&gt;" in mail and "<i>" not in mail and "{number}" not in mail
    assert not LetterText.objects.exists()


def test_only_who_may_change_letters_sees_samples(issuer):
    client = Client()
    for role, allowed in (("operator", 403), ("auditor", 403), ("support", 403), ("approver", 200)):
        user = User.objects.create_user(role, is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        client.force_login(user)
        for page, values in ((f"{HEAD}_preview", head(issuer)), (f"{TEXT}_mail", text(issuer))):
            assert client.post(reverse(page), values).status_code == allowed, role
            assert client.get(reverse(page)).status_code == 405
