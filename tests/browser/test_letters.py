"""An approver gives the letters their look and their words, and sees each change beside the form before saving."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from invoicing.models import Letterhead, LetterText
from tests.browser.conftest import CLERK, PASSWORD, from_database
from tests.builders import make_issuer
from tests.invoicing.test_letterheads import picture

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("language", ["de", "en"])
def test_a_letter_follows_what_is_typed(desk_in, language, tmp_path: Path):
    from_database(make_issuer)
    (tmp_path / "logo.png").write_bytes(picture("RGB"))
    desk = desk_in(language)
    page = desk.page
    page.context.add_cookies([{"name": "django_language", "value": language, "url": desk.address}])
    page.goto(f"{desk.address}/admin/login/?next=/admin/invoicing/letterhead/add/")
    page.locator("#id_username").fill(CLERK)
    page.locator("#id_password").fill(PASSWORD)
    page.locator("#id_password").press("Enter")

    with page.expect_response("**/letterhead/preview/"):  # as soon as the page is there
        page.wait_for_url("**/letterhead/add/")
    expect(page.frame_locator("iframe[name=preview-letter]").locator("li")).to_be_visible()  # no issuer yet
    page.locator("#id_issuer").evaluate(
        "one => { one.value = [...one.options].at(-1).value; one.dispatchEvent(new Event('change', {bubbles: true})) }"
    )
    with page.expect_response(lambda answer: answer.headers.get("content-type") == "application/pdf"):
        page.locator("#id_upload").set_input_files(tmp_path / "logo.png")
    desk.look("letterhead")
    page.locator("[name=_save]").click()
    page.wait_for_url("**/letterhead/")
    assert from_database(lambda: Letterhead.objects.get().logo) is not None

    page.goto(f"{desk.address}/admin/invoicing/lettertext/add/")
    page.locator("#id_issuer").evaluate(
        "one => { one.value = [...one.options].at(-1).value; one.dispatchEvent(new Event('change', {bubbles: true})) }"
    )
    page.locator("#id_language").select_option(language)
    mail = page.frame_locator("iframe[name=preview-mail]")
    page.locator("#id_mail_body").fill("{nummer}")
    expect(mail.locator("li")).to_contain_text("{number}")
    page.locator("#id_mail_body").fill("Hallo {customer}!")
    customer = {"de": "Muster Kunde GmbH", "en": "Sample Customer Ltd"}[language]
    expect(mail.locator("pre")).to_have_text(f"Hallo {customer}!")
    desk.look("letter-text")
    page.locator("[name=_save]").click()
    page.wait_for_url("**/lettertext/")
    assert from_database(lambda: LetterText.objects.get().mail_body) == "Hallo {customer}!"
    assert not desk.complaints
