"""VAT on documents: each treatment as it is stored and booked, waiting for VIES, rate changes, other currencies."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.utils import translation

from config import books
from invoicing import correction, exchange_rates, issuing, replay, review, vat_report, vat_waiting
from invoicing.correction import Wanted
from invoicing.einvoice.reading import facts_of
from invoicing.kernel.german_rules import cited
from invoicing.models import BookVat, ExchangeRate, Invoice, Outcome, Posting, TaxRate, TaxRule, VatShare
from invoicing.pdf import amounts
from invoicing.pdf.wording import Wording
from tenants import vat_inquiries
from tenants.models import Issuer, Tenant, VatCheck, VatInquiry
from tests.builders import make_issuer, make_price, make_tenant
from tests.small_book import FEBRUARY, MARCH, bill, make_contract
from tests.vies_server import Register, register

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 2, 1, 3, 0, tzinfo=UTC)


@pytest.fixture
def issuer() -> Issuer:
    return make_issuer(reference="MAIN")


@pytest.fixture
def vies(tmp_path: Path, settings):
    with register(tmp_path / "vies") as server:
        settings.VIES_URL = server.url
        settings.VIES_TIMEOUT = 1
        yield server


def answer(at: datetime = NOW) -> None:
    VatInquiry.objects.filter(attempts=0).update(next_at=at)
    while vat_inquiries.answer_pending(clock=lambda: at) != vat_inquiries.Asked():
        pass


def austrian(**fields) -> Tenant:
    return make_tenant(**{"reference": "A", "country": "AT", "vat_id": "ATU13585627", "vat_id_valid": True} | fields)


def sell(issuer: Issuer, tenant: Tenant, category: str = "standard", net: str = "100.00", **fields) -> None:
    price = make_price((None, net, "0"), currency=fields.get("currency", "EUR"))
    price.product.tax_category = category
    price.product.save()
    make_contract(issuer, tenant, price=price, **fields)


def shares() -> list[tuple[str, Decimal, Decimal, str, str, str]]:
    rows = VatShare.objects.order_by("invoice_id", "-vat_rate")
    return [(s.vat_case, s.vat_rate.normalize(), s.vat.amount, s.country, s.exemption_code, s.notice) for s in rows]


def booked() -> dict[str, Decimal]:
    return dict(Posting.objects.exclude(account__role="receivables").values_list("account__role", "amount"))


def assert_sound() -> None:
    assert [difference for one in replay.replay() for difference in one.differences] == []
    assert list(books.check(with_files=False)) == []


@pytest.mark.parametrize(
    ("buyer", "category", "switch", "share", "roles"),
    [
        pytest.param(
            {}, "reduced", "", ("S", Decimal(7), Decimal(7), "", "", ""), {"revenue_S_7": -100, "vat_7": -7}, id="7 %"
        ),
        pytest.param(
            {"country": "AT", "buys_as": "consumer"},
            "digital",
            "uses_oss",
            ("S", Decimal(20), Decimal(20), "AT", "", ""),
            {"revenue_OSS": -100, "vat_OSS": -20},
            id="OSS",
        ),
        pytest.param(
            {"country": "AT", "vat_id": "ATU13585627", "vat_id_valid": True},
            "goods",
            "",
            ("K", Decimal(0), Decimal(0), "", "VATEX-EU-IC", "Steuerfreie innergemeinschaftliche Lieferung"),
            {"revenue_K": -100},
            id="intra-community supply",
        ),
        pytest.param(
            {"country": "CH", "language": "en"},
            "goods",
            "",
            ("G", Decimal(0), Decimal(0), "", "VATEX-EU-G", "Export outside the EU, exempt from VAT"),
            {"revenue_G": -100},
            id="export, in English",
        ),
        pytest.param(
            {},
            "standard",
            "is_small_business",
            ("E", Decimal(0), Decimal(0), "", "", "Steuerbefreiung für Kleinunternehmer (§ 19 UStG)"),
            {"revenue_SMALL": -100},
            id="small business",
        ),
        pytest.param(
            {"country": "AT", "vat_id": "ATU13585628"},
            "standard",
            "",
            ("S", Decimal(19), Decimal(19), "", "", ""),
            {"revenue_S_19": -100, "vat_19": -19},
            id="EU business with an invalid id",
        ),
    ],
)
def test_a_treatment_is_stored_booked_and_replayed(issuer, buyer, category, switch, share, roles):
    if switch:
        Issuer.objects.filter(pk=issuer.pk).update(**{switch: True})
        issuer.refresh_from_db()
    sell(issuer, make_tenant(reference="A", **buyer), category)
    bill(issuer, FEBRUARY)
    assert shares() == [share]
    assert booked() == roles
    invoice = Invoice.objects.get()
    assert invoice.vat_case == share[0]
    rule = VatShare.objects.get().rule
    assert invoice.parties["vat"] == {f"{share[1]:f}": {"rule": rule.name, "law": rule.law}}
    assert_sound()


def test_several_rates_share_a_document_and_regimes_do_not(issuer):
    tenant = austrian()
    for category in ("standard", "digital", "goods"):
        sell(issuer, tenant, category)
    german = make_tenant(reference="B")
    for category in ("standard", "reduced"):
        sell(issuer, german, category)
    bill(issuer, FEBRUARY)
    assert [(case, rate) for case, rate, *_ in shares()] == [
        ("AE", 0),
        ("K", 0),
        ("S", 19),
        ("S", 7),
    ]
    assert Invoice.objects.count() == 3
    assert_sound()


def test_a_period_across_a_rate_change_is_parted(issuer):
    TaxRate.objects.filter(country="DE", kind="standard", ends_before=None).update(ends_before=date(2026, 2, 15))
    TaxRate.objects.create(country="DE", kind="standard", percent=21, starts_on=date(2026, 2, 15))
    issuer_chart(issuer)
    sell(issuer, make_tenant(reference="A"))
    sell(issuer, austrian(reference="B"))
    bill(issuer, FEBRUARY)
    lines = Invoice.objects.get(recipient__reference="A").lines.values_list(
        "starts_on", "ends_before", "vat_rate", "net"
    )
    assert list(lines) == [
        (FEBRUARY, date(2026, 2, 15), 19, 50),
        (date(2026, 2, 15), MARCH, 21, 50),
    ]
    assert Invoice.objects.get(recipient__reference="B").lines.count() == 1  # 0 percent before and after
    bill(issuer, FEBRUARY, date(2026, 2, 2))
    assert Invoice.objects.count() == 2  # nothing is left to charge
    bill(issuer, MARCH)
    assert Invoice.objects.count() == 4
    assert_sound()


def issuer_chart(issuer: Issuer) -> None:
    for role in ("revenue_S_21", "vat_21"):
        issuer.ledger_accounts.create(role=role, code="8999", name=role)


def test_missing_rates_park_the_payer(issuer):
    TaxRate.objects.filter(country="PL").delete()
    Issuer.objects.filter(pk=issuer.pk).update(uses_oss=True)
    issuer.refresh_from_db()
    sell(issuer, make_tenant(reference="A", country="PL", buys_as="consumer"), "digital")
    run = bill(issuer, FEBRUARY)
    outcome = Outcome.objects.get(run=run)
    assert (outcome.state, outcome.reason) == ("parked", "A: no standard VAT rate of PL on 2026-02-28.")


def test_rules_of_staff_hold(issuer):
    sell(issuer, make_tenant(reference="A", vat_id="DE136695976", vat_id_valid=True))
    bill(issuer, FEBRUARY)
    TaxRule.objects.filter(name="Inland: Regelsteuersatz").update(ends_before=MARCH)
    TaxRule.objects.create(
        issuer=issuer,
        name="Inland: § 13b",
        place="domestic",
        starts_on=MARCH,
        vat_case="AE",
        exemption_code="VATEX-EU-AE",
        notice_de="Steuerschuldnerschaft des Leistungsempfängers",
        notice_en="Reverse charge",
        law="§ 13b UStG",
    )
    bill(issuer, MARCH)
    assert [case for case, *_ in shares()] == ["S", "AE"]
    assert_sound()

    sell(issuer, make_tenant(reference="B"))
    run = bill(issuer, MARCH, date(2026, 3, 2))
    outcome = Outcome.objects.get(run=run, payer__reference="B")
    assert (outcome.state, outcome.reason[:20]) == ("parked", "B: Ohne Umsatzsteuer")  # reverse charge needs both ids


# VIES


def test_a_document_waits_until_vies_has_confirmed(vies: Register, issuer):
    vies.does("fault", "MS_UNAVAILABLE")
    sell(issuer, austrian())
    run = bill(issuer, FEBRUARY)
    draft = Invoice.objects.get()
    assert (draft.state, draft.waits_for, draft.number) == ("held", "vat_check", None)
    assert draft.reason.startswith("Prüfung der USt-IdNr. steht aus")
    assert Outcome.objects.get(run=run).state == "proposed"
    answer()
    assert (vat_waiting.settle(), Invoice.objects.get().pk) == (0, draft.pk)

    vies.does("confirm")
    answer(NOW + timedelta(hours=3))
    assert vat_waiting.settle() == 1
    bill(issuer, FEBRUARY)
    invoice = Invoice.objects.get()
    assert (invoice.state, invoice.vat_case, invoice.waits_for) == ("issued", "AE", "")
    assert invoice.parties["vat_check"] == {
        "method": "vies",
        "on": "2026-02-01",
        "valid": True,
        "consultation_number": "WAPIAAAAU13585627",
    }
    assert invoice.vat_shares.get().vat_check == VatCheck.objects.get()
    assert_sound()


def test_an_id_that_vies_refuses_is_charged(vies: Register, issuer):
    vies.does("invalid")
    sell(issuer, austrian())
    bill(issuer, FEBRUARY)
    answer()
    assert vat_waiting.settle() == 1
    bill(issuer, FEBRUARY)
    assert [(share[0], share[1]) for share in shares()] == [("S", 19)]
    assert Invoice.objects.get().state == "issued"


@pytest.mark.parametrize(("policy", "case"), [("charge", "S"), ("accept", "AE")])
def test_the_issuers_policy_may_be_another(vies: Register, issuer, policy, case):
    vies.does("status", "503")
    Issuer.objects.filter(pk=issuer.pk).update(without_confirmation=policy)
    issuer.refresh_from_db()
    sell(issuer, austrian())
    bill(issuer, FEBRUARY)
    assert (Invoice.objects.get().state, shares()[0][0]) == ("issued", case)


def test_only_what_rests_on_the_id_waits(vies: Register, issuer):
    sell(issuer, make_tenant(reference="DE"))
    sell(issuer, make_tenant(reference="CH", country="CH"))
    sell(issuer, austrian(buys_as="consumer"))
    bill(issuer, FEBRUARY)
    assert set(Invoice.objects.values_list("state", flat=True)) == {"issued"}
    assert not VatInquiry.objects.exists()


def test_a_check_too_old_is_repeated_before_a_document_is_issued(vies: Register, issuer):
    tenant = austrian()
    vat_inquiries.ask(issuer, [tenant.pk])
    answer(NOW - timedelta(days=80))
    sell(issuer, tenant)
    run = bill(issuer, FEBRUARY, issues=False)
    review.release(run.invoices.all())
    Issuer.objects.filter(pk=issuer.pk).update(vat_check_max_age_days=60)
    assert issuing.issue_released(run) == 0
    draft = Invoice.objects.get()
    assert (draft.state, draft.waits_for, draft.number) == ("held", "vat_check", None)
    assert VatInquiry.objects.filter(state="waiting").count() == 1
    answer()
    assert vat_waiting.settle() == 1
    issuer.refresh_from_db()
    bill(issuer, FEBRUARY, issues=False)
    review.release(Invoice.objects.all())
    assert issuing.issue_released(run) == 1
    assert Invoice.objects.get().parties["vat_check"]["on"] == "2026-02-01"


def test_releasing_by_hand_does_not_go_round_the_check(vies: Register, issuer):
    vies.does("hang")
    sell(issuer, austrian())
    run = bill(issuer, FEBRUARY, issues=False)
    review.release(run.invoices.all())
    assert issuing.issue_released(run) == 0
    assert Invoice.objects.get().state == "held"


# Other currencies


def test_inv_16_vat_is_stated_in_the_issuers_currency_too(issuer):
    ExchangeRate.objects.create(currency="USD", day=date(2026, 1, 30), rate=Decimal("1.0823"), source="EZB")
    ExchangeRate.objects.create(currency="USD", day=date(2026, 1, 29), rate=Decimal("2"), source="EZB")
    sell(issuer, make_tenant(reference="A", currency="USD"), currency="USD")
    bill(issuer, FEBRUARY)  # a Sunday: the rate of Friday holds
    kept = BookVat.objects.get()
    assert (kept.currency, kept.net.amount, kept.vat.amount) == ("EUR", Decimal("92.40"), Decimal("17.56"))
    assert (kept.rate, kept.rate_on, kept.source) == (Decimal("1.0823"), date(2026, 1, 30), "EZB")
    assert_sound()
    (facts,) = facts_of([kept.invoice_id])
    with translation.override("de"):
        assert list(amounts.in_books(facts, Wording("de", "USD", 2))) == [
            "Umsatzsteuer in EUR: 17,56 (1,0823 USD für 1 EUR, EZB, 30.01.2026)."
        ]


def test_inv_16_without_a_rate_the_payer_is_parked(issuer):
    ExchangeRate.objects.create(currency="USD", day=date(2026, 1, 25), rate=1, source="EZB")  # a week old
    sell(issuer, make_tenant(reference="A", currency="USD"), currency="USD")
    sell(issuer, make_tenant(reference="B", country="CH", currency="USD"), currency="USD")  # no VAT, no rate needed
    run = bill(issuer, FEBRUARY)
    parked = Outcome.objects.get(run=run, payer__reference="A")
    assert (parked.state, "USD" in parked.reason, "§ 16" in parked.reason) == ("parked", True, True)
    assert Outcome.objects.get(run=run, payer__reference="B").state == "issued"


# Lists


def test_c_13_the_lists_of_a_quarter_equal_the_ledger(vies: Register, issuer, client, admin_user):
    Issuer.objects.filter(pk=issuer.pk).update(uses_oss=True)
    issuer.refresh_from_db()
    tenant = austrian()
    vat_inquiries.ask(issuer, [tenant.pk])
    answer()
    sell(issuer, tenant)
    sell(issuer, tenant, "goods", "250.00")
    sell(issuer, make_tenant(reference="C", country="FI", buys_as="consumer"), "digital")
    bill(issuer, FEBRUARY)
    shares = vat_report.shares_of(issuer, vat_report.quarter_of(MARCH))
    assert [(row.vat_id, row.supply, row.base) for row in vat_report.sales_list(issuer, shares)] == [
        ("ATU13585627", "L", 250),
        ("ATU13585627", "S", 100),
    ]
    (oss,) = vat_report.one_stop_shop(issuer, shares)
    assert (oss.country, oss.rate, oss.base, oss.vat) == ("FI", Decimal("25.5"), 100, Decimal("25.5"))
    assert booked() == {"revenue_AE": -100, "revenue_K": -250, "revenue_OSS": -100, "vat_OSS": Decimal("-25.5")}
    assert [proof.fault for proof in vat_report.evidence(issuer, shares)] == ["", ""]

    Issuer.objects.filter(pk=issuer.pk).update(vat_check_max_age_days=1)
    VatCheck.objects.create(tenant=tenant, vat_id=tenant.vat_id, method="check_digits", is_valid=True)
    issuer.refresh_from_db()
    client.force_login(admin_user)
    page = client.get("/admin/reports/vat/", {"issuer": issuer.pk, "quarter": "2026-01-01"})
    assert page.status_code == 200
    found = client.get("/admin/reports/vat/csv/", {"issuer": issuer.pk, "quarter": "2026-01-01", "list": "evidence"})
    rows = found.content.decode("utf-8-sig").splitlines()
    assert len(rows) == 3
    assert rows[:2] == [
        "Beleg;Belegdatum;Mandant;USt-IdNr.;Steuerfall;Code des Steuerfalls;Währung;Bemessungsgrundlage;"
        "geprüft am;Verfahren;gültig;Abfragenummer;Beanstandung",
        "RE-2026-00001;01.02.2026;A;ATU13585627;Steuerschuldnerschaft des Leistungsempfängers;AE;EUR;100,00;"
        "01.02.2026;VIES;ja;WAPIAAAAU13585627;",
    ]
    listed = {"issuer": issuer.pk, "quarter": "2026-01-01"}
    sales = client.get("/admin/reports/vat/csv/", {**listed, "list": "sales"}).content.decode("utf-8-sig")
    assert sales.splitlines() == [
        "USt-IdNr.;Leistung;Kennzeichen der Leistung;Belege;Währung;Bemessungsgrundlage",
        "ATU13585627;Warenlieferung;L;1;EUR;250,00",
        "ATU13585627;Dienstleistung;S;1;EUR;100,00",
    ]
    client.cookies["django_language"] = "en"
    shop = client.get("/admin/reports/vat/csv/", {**listed, "list": "oss"}).content.decode("utf-8-sig")
    assert shop.splitlines() == ["country;VAT rate;currency;taxable amount;VAT", "FI;25.5;EUR;100.00;25.50"]


def test_a_proof_by_check_digits_alone_is_named(issuer):
    tenant = austrian()
    VatCheck.objects.create(tenant=tenant, vat_id=tenant.vat_id, method="check_digits", is_valid=True)
    sell(issuer, tenant)
    sell(issuer, austrian(reference="B"))
    bill(issuer, FEBRUARY)
    shares = vat_report.shares_of(issuer, vat_report.quarter_of(FEBRUARY))
    assert [proof.fault for proof in vat_report.evidence(issuer, shares)] == ["unconfirmed", "missing"]


def test_exchange_rates_come_in_as_a_file():
    lines = ["day;currency;rate", "2026-01-30;USD;1.0823", "2026-01-30;CHF;0.9412"]
    assert exchange_rates.take_in(lines, source="EZB") == exchange_rates.Taken(2, 0, 0)
    lines[2] = "2026-01-30;CHF;0.9413"
    assert exchange_rates.take_in(lines, source="EZB neu") == exchange_rates.Taken(0, 1, 1)
    assert ExchangeRate.objects.get(currency="CHF").source == "EZB neu"
    for wrong in ("2026-01-30;USD;0", "2026-01-30;USD;NaN", "30.01.2026;USD;1", "2026-01-30;usd;1", "2026-01-30;EUR;1"):
        with pytest.raises(exchange_rates.UnreadableRates, match="2"):
            exchange_rates.take_in([lines[0], wrong], source="EZB")
    assert ExchangeRate.objects.count() == 2


@pytest.mark.parametrize(("quantity", "switch", "warns"), [(100, False, False), (101, False, True), (101, True, False)])
def test_the_threshold_of_sales_to_consumers_is_watched(issuer, admin_client, quantity, switch, warns):
    """10,000.00 EUR are within, more are not; what is given back, other customers and other services do not count."""
    consumer = {"buys_as": "consumer"}
    sell(issuer, make_tenant(reference="A", country="FI", **consumer), "digital", quantity=Decimal(quantity - 50))
    sell(issuer, make_tenant(reference="B", country="AT", **consumer), "goods", quantity=Decimal(51))
    sell(issuer, make_tenant(reference="C", country="AT", **consumer), "standard")
    sell(issuer, make_tenant(reference="D", country="CH", **consumer), "digital")
    sell(issuer, make_tenant(reference="E", **consumer), "digital")
    sell(issuer, austrian(reference="F"), "goods")
    bill(issuer, FEBRUARY)
    returned = Invoice.objects.get(recipient__reference="B")
    correction.credit(returned.pk, [Wanted(1, amount=Decimal(100))], on=FEBRUARY, reason="Zurückgesandt")
    assert vat_report.distance_sales(issuer, 2026) == vat_report.DistanceSales(
        2026, Decimal(quantity * 100), Decimal(0)
    )
    following = vat_report.distance_sales(issuer, 2027)
    assert following is not None
    assert (following.before, following.is_passed) == (Decimal(quantity * 100), quantity > 100)
    Issuer.objects.filter(pk=issuer.pk).update(uses_oss=switch)
    for language, sentence in (("de", "Die Schwelle ist überschritten"), ("en", "The threshold is passed")):
        query = {"issuer": issuer.pk, "quarter": "2026-01-01"}
        page = admin_client.get("/admin/reports/vat/", query, headers={"accept-language": language})
        assert (sentence in page.content.decode()) == warns


def test_sources_in_law_are_cited_as_readers_do():
    law = "§ 4 no. 1 b, § 3a (2), (5) UStG, Art. 196 Directive 2006/112/EC"
    assert cited(law, "en") == law
    assert cited(law, "de") == "§ 4 Nr. 1 b, § 3a Abs. 2, Abs. 5 UStG, Art. 196 Richtlinie 2006/112/EG"
