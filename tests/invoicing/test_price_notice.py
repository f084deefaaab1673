"""Letters about new prices: what they say, to whom they go, and that they are made once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from io import BytesIO

import pytest
from pypdf import PdfReader

from billing import campaigns
from billing.models import PriceNotice
from invoicing import price_notice
from invoicing.price_notice import NoticeFacts, PriceFacts, cover_note, render
from tenants import files
from tenants.models import Contact, Message, NotificationPreference
from tests.billing.test_campaigns import ANNOUNCED, make_campaign
from tests.builders import make_issuer, make_price, make_tenant
from tests.facts import make_reminder
from tests.small_book import make_contract


def words_of(pdf: bytes) -> str:
    pages = [page.extract_text().replace("\N{NO-BREAK SPACE}", " ") for page in PdfReader(BytesIO(pdf)).pages]
    return " ".join(" ".join(pages).split())


PRICE = PriceFacts(
    contract="V01-00017",
    product="Telefonie-Connector, Arbeitsplatz",
    interval="monatlich",
    is_per_unit=True,
    up_to="",
    effective_on=date(2027, 1, 1),
    currency="EUR",
    places=2,
    before=Decimal("9.90"),
    after=Decimal("10.20"),
)


def make_facts(**fields) -> NoticeFacts:
    parties = make_reminder()
    return NoticeFacts(
        **{
            "written_on": ANNOUNCED,
            "language": "de",
            "seller": parties.seller,
            "customer": parties.payer,
            "reason": "Höhere Kosten für Energie und Personal",
            "may_terminate": False,
            "prices": (PRICE,),
        }
        | fields
    )


def test_a_letter_lists_old_and_new_prices_with_their_day():
    said = words_of(render(make_facts()))
    for sentence in [
        "Neue Preise ab 01.01.2027",
        "Datum 02.11.2026",
        "V01-00017 Telefonie-Connector, Arbeitsplatz, monatlich, je Einheit 01.01.2027 9,90 EUR 10,20 EUR 0,30 EUR",
        "Grund: Höhere Kosten für Energie und Personal",
    ]:
        assert sentence in said
    assert "kündigen" not in said


def test_in_english_with_the_right_to_terminate():
    price = replace(PRICE, product="Telephony connector, seat", interval="monthly")
    said = words_of(render(make_facts(language="en", may_terminate=True, prices=(price,))))
    assert "New prices from 1 Jan 2027" in said
    assert "with effect from the end of 31 Dec 2026" in said
    later = replace(price, effective_on=date(2027, 3, 1), currency="USD")
    said = words_of(render(make_facts(language="en", may_terminate=True, prices=(price, later))))
    assert "New prices for your contracts" in said
    assert "with effect from the end of the day before the change" in said
    assert "10.20 USD" in said


def test_fine_prices_are_printed_as_fine_as_they_are():
    fine = replace(PRICE, up_to="1000", before=Decimal("0.0047"), after=Decimal("0.0048"))
    said = words_of(render(make_facts(prices=(fine,))))
    assert "0,0047 EUR 0,0048 EUR 0,0001 EUR" in said
    assert "bis 1.000" in said


def test_the_cover_note_says_it_in_short():
    subject, body = cover_note(make_facts(may_terminate=True))
    assert subject == "Beispiel Telefonie GmbH: Neue Preise ab 01.01.2027"
    line = "V01-00017, Telefonie-Connector, Arbeitsplatz, monatlich, je Einheit: ab 01.01.2027 10,20 EUR statt 9,90 EUR"
    assert line in body.replace("\N{NO-BREAK SPACE}", " ")
    assert "zum Ablauf des 31.12.2026" in body


def test_equal_facts_give_equal_bytes():
    assert render(make_facts()) == render(make_facts())


@pytest.mark.django_db
def test_each_account_gets_one_letter_in_its_language_at_its_billing_contacts():
    issuer = make_issuer()
    german, english = make_tenant(language="de"), make_tenant(language="en")
    silent = make_tenant(email="")
    for name, is_billing in (("buchhaltung", True), ("technik", False)):
        Contact.objects.create(tenant=german, name=name, email=f"{name}@example.com", is_billing=is_billing)
    price = make_price((None, "100.00", "0"))
    for n, tenant in enumerate((german, german, english, silent)):
        make_contract(issuer, tenant, reference=f"V{n}", price=price)
    campaigns.apply(campaigns.announce(make_campaign(issuer), on=ANNOUNCED, by=None, channel="command"))
    assert price_notice.unwritten().count() == 3
    assert price_notice.write_notices(limit=10) == 3
    assert price_notice.write_notices(limit=10) == 0
    assert {message.recipient: message.subject for message in Message.objects.all()} == {
        "buchhaltung@example.com": "Beispiel Telefonie GmbH: Neue Preise ab 01.01.2027",
        english.email: "Beispiel Telefonie GmbH: New prices from 1 Jan 2027",
    }
    assert [notice.tenant for notice in price_notice.without_address()] == [silent]
    letter = PriceNotice.objects.get(tenant=german)
    assert letter.file is not None
    said = words_of(files.read(letter.file))
    assert (
        "V0 Telefonie-Connector, Arbeitsplatz, monatlich, je Einheit 01.01.2027 100,00 EUR 103,00 EUR 3,00 EUR" in said
    )
    assert "V1 Telefonie" in said and "V2" not in said
    assert "Grund: Höhere Kosten" in said
    assert "Höhere" not in Message.objects.get(recipient=english.email).body
    message = Message.objects.get(recipient="buchhaltung@example.com")
    assert (message.file, message.file_name) == (letter.file, "Neue-Preise-2026-11-02.pdf")
    assert list(letter.messages.all()) == [message]


@pytest.mark.django_db
def test_without_an_address_the_recipient_of_the_invoices_is_written_to():
    issuer = make_issuer()
    group = make_tenant(email="gruppe@example.com")
    branch = make_tenant(parent=group, kind="branch", invoice_to=group, email="")
    make_contract(issuer, branch)
    campaigns.apply(campaigns.announce(make_campaign(issuer), on=ANNOUNCED, by=None, channel="command"))
    price_notice.write_notices(limit=10)
    assert Message.objects.get().recipient == "gruppe@example.com"


@pytest.mark.django_db
def test_the_recipient_of_the_contracts_is_written_to_even_if_the_account_has_an_address():
    """The contract's recipient before the account's; a customer in law of its own before either."""
    issuer = make_issuer()
    group = make_tenant(reference="GROUP", name="Gruppe AG", email="gruppe@example.com")
    division = make_tenant(reference="DIV", kind="branch", parent=group, email="sparte@example.com")
    branch = make_tenant(reference="BRANCH", name="Filiale", parent=division, kind="branch", invoice_to=group)
    firm = make_tenant(reference="FIRM", parent=group, invoice_to=group, email="firma@example.com")
    make_contract(issuer, branch, reference="V-BRANCH")
    own = make_tenant(reference="OWN", parent=division, kind="branch", invoice_to=group)
    make_contract(issuer, own, reference="V-OWN", invoice_to=division)
    make_contract(issuer, firm, reference="V-FIRM")
    campaigns.apply(campaigns.announce(make_campaign(issuer), on=ANNOUNCED, by=None, channel="command"))
    price_notice.write_notices(limit=10)
    letters = PriceNotice.objects.select_related("tenant")
    sent = {letter.tenant.reference: [m.recipient for m in letter.messages.all()] for letter in letters}
    assert sent == {
        "BRANCH": ["gruppe@example.com"],
        "OWN": ["sparte@example.com"],
        "FIRM": ["firma@example.com"],
    }
    letter = words_of(files.read(PriceNotice.objects.get(tenant=branch).file))
    assert "Gruppe AG" in letter and "Verträge von BRANCH Filiale" in letter
    assert "Verträge von" not in words_of(files.read(PriceNotice.objects.get(tenant=firm).file))


@pytest.mark.django_db
def test_preferences_say_which_contacts_are_told_of_prices():
    issuer = make_issuer()
    group = make_tenant(email="zentrale@example.com")
    account = make_tenant(parent=group)
    for flag in ("is_billing", "is_approver", "is_technical"):
        Contact.objects.create(tenant=account, name=flag, email=f"{flag}@example.com", **{flag: True})
    make_contract(issuer, account)
    campaigns.apply(campaigns.announce(make_campaign(issuer), on=ANNOUNCED, by=None, channel="command"))
    notice = PriceNotice.objects.get()
    tell = price_notice.sending._addresses
    assert sorted(tell(notice)) == ["is_approver@example.com", "is_billing@example.com"]
    NotificationPreference.objects.create(tenant=group, event="price_changed", role="approver", is_wanted=False)
    NotificationPreference.objects.create(tenant=account, event="price_changed", role="technical")
    assert sorted(tell(notice)) == ["is_billing@example.com", "is_technical@example.com"]
    price_notice.write_notices(limit=10)
    assert {m.recipient for m in Message.objects.all()} == {"is_billing@example.com", "is_technical@example.com"}


@pytest.mark.django_db
def test_packages_are_printed_with_their_size():
    issuer = make_issuer()
    account = make_tenant(language="de")
    packages = make_price((None, "50.00", "0"), model="package", package_size=Decimal(100))
    tiers = make_price(("10", "8.00", "0"), (None, "6.00", "0"), model="graduated")
    tiers.tiers.filter(up_to=None).update(package_size=Decimal(1000))
    make_contract(issuer, account, reference="V-PACK", price=packages)
    make_contract(issuer, account, reference="V-TIER", price=tiers)
    campaigns.apply(campaigns.announce(make_campaign(issuer), on=ANNOUNCED, by=None, channel="command"))
    price_notice.write_notices(limit=10)
    said = words_of(files.read(PriceNotice.objects.get().file))
    assert "je Paket zu 100 01.01.2027 50,00 EUR 51,50 EUR" in said
    assert "je Einheit, bis 10 01.01.2027 8,00 EUR 8,24 EUR" in said
    assert "je Paket zu 1.000 01.01.2027 6,00 EUR 6,18 EUR" in said


@pytest.mark.django_db
def test_one_letters_trouble_stops_no_other(monkeypatch):
    issuer = make_issuer()
    for n in range(2):
        make_contract(issuer, make_tenant(), reference=f"V{n}")
    campaigns.apply(campaigns.announce(make_campaign(issuer), on=ANNOUNCED, by=None, channel="command"))
    first = PriceNotice.objects.earliest("pk")
    real = price_notice.sending.facts_of
    monkeypatch.setattr(
        price_notice.sending, "facts_of", lambda notice: 1 / 0 if notice.pk == first.pk else real(notice)
    )
    assert price_notice.write_notices(limit=10) == 1
    assert list(price_notice.unwritten()) == [first]
    assert not price_notice.waiting().exists()  # it rests for a minute
