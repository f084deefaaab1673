"""The German rules at work: every case of A-08, the rates of a day, and the territories apart."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoicing.kernel.german_rules import GERMAN_RULES
from invoicing.kernel.taxation import Customer, Law, NoPercentage, NoRule, Percentage, Place, Scheme, buyer_of, choose
from invoicing.kernel.vat import EU

WITH_ID, WITHOUT_ID, CONSUMER, PUBLIC = Customer
CHANGE = date(2027, 1, 1)
RATES = [
    Percentage("DE", "standard", Decimal(19), None, CHANGE),
    Percentage("DE", "standard", Decimal(21), CHANGE),
    Percentage("DE", "reduced", Decimal(7)),
    Percentage("AT", "standard", Decimal(20)),
    Percentage("FI", "standard", Decimal("25.5")),
    Percentage("FR", "standard", Decimal(20)),
]
DAY = date(2026, 2, 28)


def law(*schemes: Scheme) -> Law:
    return Law("DE", GERMAN_RULES, RATES, frozenset(scheme.value for scheme in schemes))


def taxed(country: str, customer: Customer, category: str, *schemes: Scheme, postcode: str = "", vat_id: str = ""):
    buyer = buyer_of("DE", country, postcode, vat_id, customer=customer)
    found = law(*schemes).treatment(buyer, category, DAY)
    return found.rule.case.value, str(found.rate), found.country, found.rule.exemption_code, found.rule.notice_de


AE = ("AE", "0", "", "VATEX-EU-AE", "Steuerschuldnerschaft des Leistungsempfängers")
O = ("O", "0", "", "VATEX-EU-O", "Nicht im Inland steuerbare Leistung")  # noqa: E741
K = ("K", "0", "", "VATEX-EU-IC", "Steuerfreie innergemeinschaftliche Lieferung")
G = ("G", "0", "", "VATEX-EU-G", "Steuerfreie Ausfuhrlieferung")
E = ("E", "0", "", "VATEX-EU-132", "Steuerfrei nach § 4 UStG")
SMALL = ("E", "0", "", "", "Steuerbefreiung für Kleinunternehmer (§ 19 UStG)")


def s(rate: str, country: str = "") -> tuple[str, ...]:
    return "S", rate, country, "", ""


@pytest.mark.parametrize(
    ("country", "customer", "category", "schemes", "expected"),
    [
        pytest.param("DE", WITH_ID, "standard", (), s("19"), id="VAT-1 domestic business"),
        pytest.param("DE", CONSUMER, "digital", (Scheme.OSS,), s("19"), id="VAT-1 domestic consumer"),
        pytest.param("DE", WITHOUT_ID, "reduced", (), s("7"), id="VAT-1 reduced"),
        pytest.param("DE", PUBLIC, "reduced_goods", (), s("7"), id="VAT-1 reduced goods"),
        pytest.param("AT", WITH_ID, "standard", (), AE, id="VAT-2 reverse charge"),
        pytest.param("AT", WITH_ID, "reduced", (), AE, id="VAT-2 reverse charge whatever the rate at home"),
        pytest.param("AT", WITH_ID, "digital", (Scheme.OSS,), AE, id="VAT-2 the One-Stop Shop is for consumers"),
        pytest.param("AT", WITHOUT_ID, "standard", (), s("19"), id="VAT-10 business without a valid id"),
        pytest.param("AT", PUBLIC, "standard", (), s("19"), id="public body without an id"),
        pytest.param("AT", CONSUMER, "digital", (), s("19"), id="VAT-3 below the threshold"),
        pytest.param("AT", CONSUMER, "digital", (Scheme.OSS,), s("20", "AT"), id="VAT-3 One-Stop Shop"),
        pytest.param("FI", CONSUMER, "digital", (Scheme.OSS,), s("25.5", "FI"), id="VAT-3 a rate with a decimal"),
        pytest.param("AT", CONSUMER, "goods", (Scheme.OSS,), s("20", "AT"), id="distance sale"),
        pytest.param("AT", CONSUMER, "standard", (Scheme.OSS,), s("19"), id="other services to consumers: at home"),
        pytest.param("CH", WITHOUT_ID, "standard", (), O, id="VAT-4 third country, business"),
        pytest.param("US", CONSUMER, "digital", (Scheme.OSS,), O, id="VAT-5 third country, consumer"),
        pytest.param("AT", WITH_ID, "goods", (), K, id="VAT-6 intra-community supply"),
        pytest.param("AT", WITH_ID, "reduced_goods", (), K, id="VAT-6 of what is reduced at home"),
        pytest.param("CH", WITHOUT_ID, "goods", (), G, id="VAT-7 export"),
        pytest.param("DE", WITHOUT_ID, "exempt", (), E, id="VAT-8 exempt"),
        pytest.param("AT", CONSUMER, "exempt", (), E, id="VAT-8 exempt, abroad"),
        pytest.param("DE", WITHOUT_ID, "standard", (Scheme.SMALL_BUSINESS,), SMALL, id="INV-12 small business"),
        pytest.param("AT", CONSUMER, "digital", (Scheme.SMALL_BUSINESS,), SMALL, id="INV-12 to a consumer abroad"),
        pytest.param("AT", WITH_ID, "standard", (Scheme.SMALL_BUSINESS,), AE, id="INV-12 place of supply abroad"),
        pytest.param("CH", WITHOUT_ID, "standard", (Scheme.SMALL_BUSINESS,), O, id="INV-12 to a third country"),
    ],
)
def test_each_case_has_its_rule(country, customer, category, schemes, expected):
    assert taxed(country, customer, category, *schemes) == expected


def test_every_notice_is_in_both_languages():
    notices = {(rule.case.value, rule.notice_en) for rule in GERMAN_RULES}
    assert notices == {
        ("S", ""),
        ("AE", "Reverse charge"),
        ("O", "Not subject to German VAT"),
        ("K", "Intra-community supply, exempt from VAT"),
        ("G", "Export outside the EU, exempt from VAT"),
        ("E", "Exempt from VAT (§ 4 UStG)"),
        ("E", "VAT exemption for small businesses (§ 19 UStG)"),
    }
    assert all(rule.law for rule in GERMAN_RULES)


@pytest.mark.parametrize(
    ("country", "postcode", "vat_id", "category", "expected"),
    [
        pytest.param("ES", "35001", "ESB58378431", "standard", O, id="Canary Islands"),
        pytest.param("ES", "35001", "ESB58378431", "goods", G, id="goods to the Canary Islands"),
        pytest.param("ES", "28001", "ESB58378431", "standard", AE, id="Madrid"),
        pytest.param("ES", "51001", "ESB58378431", "standard", O, id="Ceuta"),
        pytest.param("FI", "FI-22100", "FI20774740", "standard", O, id="Åland"),
        pytest.param("DE", "78266", "", "standard", O, id="Büsingen"),
        pytest.param("DE", "27498", "", "goods", G, id="Heligoland"),
        pytest.param("IT", "23041", "IT00743110157", "standard", O, id="Livigno"),
        pytest.param("FR", "97400", "FR40303265045", "standard", O, id="Réunion"),
        pytest.param("GR", "63086", "EL023456780", "standard", O, id="Mount Athos"),
        pytest.param("GR", "10431", "EL023456780", "standard", AE, id="Greece"),
        pytest.param("MC", "98000", "FR40303265045", "standard", AE, id="Monaco is France"),
        pytest.param("GB", "BT1 5GS", "XI123456789", "goods", K, id="Northern Ireland: goods"),
        pytest.param("GB", "BT1 5GS", "XI123456789", "standard", O, id="Northern Ireland: services"),
        pytest.param("GB", "SW1A 1AA", "GB123456789", "goods", G, id="Great Britain"),
    ],
)
def test_vat_9_territories_apart(country, postcode, vat_id, category, expected):
    assert taxed(country, WITH_ID, category, postcode=postcode, vat_id=vat_id) == expected


def test_the_rate_is_that_of_the_last_day_of_service():
    buyer = buyer_of("DE", "DE", "", "", customer=WITHOUT_ID)
    found = law()
    assert found.treatment(buyer, "standard", date(2026, 12, 31)).rate == 19
    assert found.treatment(buyer, "standard", CHANGE).rate == 21
    assert found.cuts(buyer, "standard", date(2026, 12, 1), date(2027, 1, 15)) == [CHANGE]
    assert found.cuts(buyer, "standard", CHANGE, date(2027, 1, 15)) == []
    assert found.cuts(buyer, "reduced", date(2026, 12, 1), date(2027, 1, 15)) == []


def test_what_no_rule_or_rate_covers_is_refused():
    buyer = buyer_of("DE", "PL", "", "", customer=CONSUMER)
    with pytest.raises(NoPercentage, match="no standard VAT rate of PL"):
        law(Scheme.OSS).treatment(buyer, "digital", DAY)
    with pytest.raises(NoRule, match="no tax rule for standard to consumer in PL"):
        choose([], buyer, "standard", DAY)


@given(
    country=st.sampled_from(sorted(EU | {"CH", "GB", "US", "MC"})),
    customer=st.sampled_from(Customer),
    category=st.sampled_from(["standard", "reduced", "digital", "goods", "reduced_goods", "exempt"]),
    schemes=st.frozensets(st.sampled_from(["oss", "small_business"])),
)
def test_exactly_one_rule_decides_whatever_their_order(country, customer, category, schemes):
    buyer = buyer_of("DE", country, "", "", customer=customer)
    found = choose(GERMAN_RULES, buyer, category, DAY, schemes)
    assert choose(tuple(reversed(GERMAN_RULES)), buyer, category, DAY, schemes) is found
    assert (buyer.place is Place.DOMESTIC) == (country == "DE")
