"""The letters that went out, and their files."""

from __future__ import annotations

from datetime import date

import pytest
from django.urls import reverse

from payments import dunning
from payments.models import Letter
from tests.builders import make_issuer, make_tenant
from tests.small_book import FEBRUARY, bill, make_contract

pytestmark = pytest.mark.django_db


def test_a_letter_whose_file_is_damaged_is_one_sentence(admin_client, settings, tmp_path):
    settings.LANGUAGE_CODE, settings.FILES_ROOT = "en", tmp_path
    issuer = make_issuer()
    make_contract(issuer, make_tenant())
    bill(issuer, FEBRUARY)
    dunning.remind(issuer, on=date(2026, 2, 20))
    assert dunning.write_letters(limit=1) == 1
    letter = Letter.objects.get()
    url = reverse("admin:payments_letter_pdf", args=[letter.pk])
    assert admin_client.get(url).content.startswith(b"%PDF")
    (tmp_path / letter.file.path).write_bytes(b"%PDF-else")
    response = admin_client.get(url, follow=True)
    assert response.redirect_chain == [(reverse("admin:payments_letter_change", args=[letter.pk]), 302)]
    assert [str(message) for message in response.context["messages"]] == [
        f"The file {letter.file.path} is not what was stored: its hash differs."
    ]
