"""A charge told from end to end, in both languages, as a bookkeeper reads it on the screen of a terminal."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command

from billing.models import Charge, Item
from invoicing import correction
from invoicing.models import Invoice
from tests.builders import make_grant, make_issuer, make_price, make_product, make_tenant
from tests.small_book import FEBRUARY, MARCH, bill, make_contract

pytestmark = pytest.mark.django_db
NBSP = "\N{NO-BREAK SPACE}"


def explained(capsys, reference: str, language: str) -> list[str]:
    call_command("explain", reference, "--language", language)
    return capsys.readouterr().out.replace(NBSP, " ").splitlines()


@pytest.fixture
def contract():
    product = make_product(reference="SEAT")
    price = make_price(("10", "2.50", "0"), (None, "2.40", "5"), product=product, model="graduated")
    tenant = make_tenant(reference="T1", name="Café Zentral GmbH")
    contract = make_contract(
        make_issuer(), tenant, reference="V-1", price=price, quantity=Decimal(25), starts_on=date(2026, 2, 15)
    )
    make_grant(subscription=contract, reference="TREUE", percent=Decimal(10))
    bill(contract.issuer, MARCH)
    return contract


def test_a_stub_with_tiers_and_a_discount_in_german(contract, capsys):
    key = Charge.objects.order_by("starts_on").first().pk
    assert explained(capsys, "RE-2026-00001/1", "de") == [
        f"Abrechnungsposition {key} zu Vertrag V-1, Mandant T1 Café Zentral GmbH.",
        "Vertragsposition: 25 × SEAT Telefonie-Connector, Arbeitsplatz, monatlich, im Voraus.",
        "Preis: SEAT, Preisklasse 1, EUR; gestaffelt: jede Einheit zum Preis ihrer Staffel.",
        "Tage: 15.02.2026 – 28.02.2026.",
        "25 Einheiten, jede zum Preis ihrer Staffel:",
        "10 × 2,50 EUR = 25,00 EUR",
        "15 × 2,40 EUR + 5,00 EUR = 41,00 EUR",
        "Preis für einen ganzen Zeitraum: 66,00 EUR.",
        "Teil eines Zeitraums: 15.02.2026 – 28.02.2026 von 01.02.2026 – 28.02.2026, das sind 1/2 davon (taggenau).",
        "Rabatt TREUE von 10 Prozent: −3,30 EUR",
        "Umsatzsteuer: 19 Prozent, steuerpflichtig, zusammen mit den übrigen Zeilen dieses Satzes auf dem Beleg.",
        "Beleg: Rechnung RE-2026-00001 vom 01.03.2026, Zeile 1: 29,70 EUR netto.",
    ]
    assert explained(capsys, str(key), "de") == explained(capsys, "RE-2026-00001/1", "de")


def test_the_same_in_english_and_all_lines_of_a_document(contract, capsys):
    told = explained(capsys, "RE-2026-00001", "en")
    first, second = Charge.objects.order_by("starts_on")
    assert told[:4] == [
        f"Charge {first.pk} of contract V-1, account T1 Café Zentral GmbH.",
        "Position: 25 × SEAT Telephony connector, seat, monthly, in advance.",
        "Price: SEAT, class 1, EUR; graduated: each unit at the price of its tier.",
        "Days: 15 Feb 2026 – 28 Feb 2026.",
    ]
    assert told[told.index("") + 1 :] == [
        f"Charge {second.pk} of contract V-1, account T1 Café Zentral GmbH.",
        "Position: 25 × SEAT Telephony connector, seat, monthly, in advance.",
        "Price: SEAT, class 1, EUR; graduated: each unit at the price of its tier.",
        "Days: 1 Mar 2026 – 31 Mar 2026.",
        "25 units, each at the price of its tier:",
        "10 × 2.50 EUR = 25.00 EUR",
        "15 × 2.40 EUR + 5.00 EUR = 41.00 EUR",
        "Price for a whole period: 66.00 EUR.",
        "Discount TREUE of 10 percent: −6.60 EUR",
        "VAT: 19 percent, taxed, with the other lines of that rate on the document.",
        "Document: invoice RE-2026-00001 of 1 Mar 2026, line 2: 59.40 EUR net.",
        "",
        "VAT of 19 percent (taxed) on 89.10 EUR, rounded once: 16.93 EUR. Tax rule: Inland: Regelsteuersatz"
        " (§ 1 (1) UStG, § 12 (1) UStG).",
        "Together: 89.10 EUR net, 16.93 EUR VAT, 106.03 EUR gross.",
    ]


def test_discounts_of_the_document_and_what_was_given_back_by_hand(contract, capsys):
    other = make_contract(contract.issuer, make_tenant(reference="T2"), reference="V-2")
    make_grant(subscription=other, level="document", reference="FIX", amount=Decimal(20), name_de="Gutschein")
    make_grant(subscription=other, level="document", reference="TEN", percent=Decimal(10), name_de="Zehn Prozent")
    bill(contract.issuer, MARCH, date(2026, 3, 2))
    document = Invoice.objects.get(number="RE-2026-00002")
    told = explained(capsys, "RE-2026-00002", "de")
    assert told[told.index("", 12) + 1 :] == [
        "Rabatt auf Belegebene, Zehn Prozent: auf 200,00 EUR der Positionen mit 19 Prozent Umsatzsteuer −20,00 EUR.",
        "TEN gewährt 10 Prozent, insgesamt 20,00 EUR, verteilt auf die Steuersätze nach größtem Rest; es ist der"
        " 1. Beleg mit diesem Rabatt.",
        "Rabatt auf Belegebene, Gutschein: auf 180,00 EUR der Positionen mit 19 Prozent Umsatzsteuer −20,00 EUR.",
        "FIX gewährt bis zu 20,00 EUR, insgesamt 20,00 EUR, verteilt auf die Steuersätze nach größtem Rest; es ist der"
        " 1. Beleg mit diesem Rabatt.",
        "Umsatzsteuer von 19 Prozent (steuerpflichtig) auf 160,00 EUR, einmal gerundet: 30,40 EUR. Steuerregel:"
        " Inland: Regelsteuersatz (§ 1 Abs. 1 UStG, § 12 Abs. 1 UStG).",
        "Zusammen: 160,00 EUR netto, 30,40 EUR Umsatzsteuer, 190,40 EUR brutto.",
    ]
    wanted = [correction.Wanted(position=1, amount=Decimal(50))]
    correction.credit(document.pk, wanted, on=date(2026, 3, 2), reason="Kulanz")
    assert explained(capsys, "RK-2026-00001", "de")[:2] == [
        "Position 1 gibt von Hand 50,00 EUR aus Position 1 von RE-2026-00002 zurück.",
        "Vom Rabatt Zehn Prozent von RE-2026-00002 wird mit den Positionen ein Anteil zurückgenommen: 5,00 EUR.",
    ]


def test_credits_and_reversals_name_what_they_correct(contract, capsys):
    march = Charge.objects.order_by("-starts_on").first()
    Item.objects.filter(subscription=contract).update(ends_before=date(2026, 3, 11))
    bill(contract.issuer, MARCH, date(2026, 3, 12))
    Item.objects.filter(subscription=contract).update(ends_before=FEBRUARY.replace(day=15))
    assert explained(capsys, "RK-2026-00001/1", "en")[3:] == [
        "Days: 11 Mar 2026 – 31 Mar 2026.",
        f"It gives back days of charge {march.pk}.",
        "25 units, each at the price of its tier:",
        "10 × 2.50 EUR = 25.00 EUR",
        "15 × 2.40 EUR + 5.00 EUR = 41.00 EUR",
        "Price for a whole period: 66.00 EUR.",
        "Part of a period: 1 Mar 2026 – 10 Mar 2026 of 1 Mar 2026 – 31 Mar 2026, that is 10/31 of it (actual days).",
        "Discount TREUE of 10 percent: −2.129032… EUR",
        "Exactly 19.16129… EUR, rounded once, halves away from zero: 19.16 EUR.",
        "Less what was booked for these days before: 59.40 EUR.",
        "To be booked: −40.24 EUR.",
        "VAT: 19 percent, taxed, with the other lines of that rate on the document.",
        "Document: credit note RK-2026-00001 of 12 Mar 2026, line 1: −40.24 EUR net.",
    ]
    bill(contract.issuer, MARCH, date(2026, 3, 13))
    reversal = Charge.objects.filter(reverses__starts_on=date(2026, 2, 15)).get()
    assert explained(capsys, str(reversal.pk), "de")[3:-2] == [
        "Tage: 15.02.2026 – 28.02.2026.",
        f"Sie hebt Abrechnungsposition {reversal.reverses_id} auf.",
        "Für diese Tage ist nichts mehr fällig; bereits gebucht: 29,70 EUR.",
        "Zu buchen: −29,70 EUR.",
    ]
    assert f"Sie wurde durch Abrechnungsposition {reversal.pk} aufgehoben." in explained(
        capsys, str(reversal.reverses_id), "de"
    )


def test_what_is_no_charge_is_refused(contract):
    for reference in ("0", "RE-1", "RE-2026-00001/9", "RE-2026-00001/x"):
        with pytest.raises(CommandError, match=reference):
            call_command("explain", reference, "--language", "en")
