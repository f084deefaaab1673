"""A scenario gives what a live run gives, says where it is wrong, and leaves nothing behind."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import translation
from jsonschema import Draft202012Validator

from billing.models import Discount, Product, Subscription
from invoicing import simulation
from invoicing.models import Invoice, NumberRange
from invoicing.simulation import changes
from invoicing.simulation.reading import SCHEMA, parsed
from tenants.models import Issuer, Tenant
from tenants.transactions import TREE_LOCK
from tests.small_book import MARCH, bill, make_small_book

EXAMPLES = Path(settings.BASE_DIR) / "docs" / "simulations"


def played(text: str, language: str = "en") -> simulation.Simulation:
    return simulation.simulate(simulation.checked(parsed(text, is_json=False)), language=language)


def example(name: str, language: str = "en") -> simulation.Simulation:
    return simulation.simulate(simulation.read(EXAMPLES / f"{name}.yaml"), language=language)


def nets(result: simulation.Simulation) -> list[tuple[str, list[str], str]]:
    """Number, nets of the lines, and gross, of each document."""
    return [
        (one.number.removeprefix("SIM-"), [f"{line.net:.2f}" for line in one.lines], f"{one.gross:.2f}")
        for one in result.documents
    ]


FIGURES: dict[str, list[tuple[str, list[str], str]]] = {
    "commitment": [
        # 12 of 31 days: 77.42 of 200.00, and 116.13 to 193.55; with 200.00 in advance 354.19 less 250.00
        ("RE-2026-00001", ["77.42", "116.13", "200.00"], "123.99"),
        ("RE-2026-00002", ["300.00", "200.00"], "535.50"),
        ("RE-2026-00003", ["300.00", "200.00"], "535.50"),
    ],
    "pause": [
        ("RE-2026-00001", ["500.00"], "595.00"),
        ("RK-2026-00001", ["-416.67"], "-495.84"),
        ("RE-2026-00002", ["333.33"], "396.66"),
    ],
    "upgrade": [
        ("RE-2026-00001", ["20.00"], "23.80"),
        ("RE-2026-00002", ["-10.00", "15.00"], "5.95"),
        ("RE-2026-00003", ["30.00"], "35.70"),
        ("RE-2026-00004", ["6.45"], "7.68"),
        ("RE-2026-00005", ["40.65"], "48.37"),
    ],
    "discounts": [
        ("RE-2026-00001", ["200.00", "75.00", "87.50"], "431.38"),
        ("RE-2026-00002", ["200.00", "200.00", "200.00"], "714.00"),
        ("RE-2026-00003", ["180.00", "200.00", "200.00"], "690.20"),
        ("RE-2026-00004", ["180.00", "200.00", "200.00"], "690.20"),
        ("RE-2026-00005", ["90.00", "200.00", "200.00"], "583.10"),
        ("RE-2026-00006", ["180.00", "200.00", "200.00"], "690.20"),
    ],
    "consolidated": [
        ("RE-2026-00001", ["74.20", "39.80"], "130.89"),
        ("RE-2026-00002", ["25.00"], "25.00"),
        ("RE-2026-00003", ["74.20", "33.18", "26.87", "60.50"], "231.75"),
        ("RE-2026-00004", ["25.00"], "25.00"),
    ],
    "life": [
        ("RE-2026-00001", ["1000.00", "100.00"], "1309.00"),
        ("RE-2026-00002", ["1000.00", "100.00"], "1309.00"),
        ("RE-2026-00003", ["1000.00", "100.00"], "1309.00"),
        ("RE-2026-00004", ["766.67"], "912.34"),  # 23 of 30 days up to the new billing day
        ("RE-2026-00005", ["1000.00"], "1190.00"),
        ("RE-2026-00006", ["1000.00"], "1190.00"),
        ("RE-2026-00007", ["-677.42", "354.84", "1000.00"], "806.13"),  # the pause, ten days of August
        ("RE-2026-00008", ["1000.00"], "1190.00"),
        ("RE-2026-00009", ["1000.00"], "1190.00"),
        ("RE-2026-00010", ["1000.00"], "1190.00"),
        ("RE-2027-00001", ["1000.00"], "1190.00"),
        ("RE-2027-00002", ["857.14"], "1020.00"),  # the old price ends with the term, ten days later than agreed
        ("RE-2027-00003", ["157.14", "532.26"], "820.39"),
    ],
}


def test_every_example_is_tried():
    assert {path.stem for path in EXAMPLES.glob("*.yaml")} == set(FIGURES)


@pytest.mark.django_db
@pytest.mark.parametrize("name", FIGURES)
def test_the_examples_give(name):
    result = example(name)
    assert nets(result) == FIGURES[name]
    assert [run.parked for run in result.runs if run.parked] == []


@pytest.mark.django_db
def test_the_smallest_example_of_the_documentation_runs():
    page = (EXAMPLES.parent / "simulation.md").read_text()
    result = played(page.partition("```yaml\n")[2].partition("```")[0])
    assert nets(result) == [
        ("RE-2026-00001", ["50.00"], "59.50"),
        ("RE-2026-00002", ["-22.58", "33.87", "75.00"], "102.69"),
        ("RE-2026-00003", ["75.00"], "89.25"),
    ]


@pytest.mark.django_db
def test_a_correction_names_its_document_and_is_explained_in_german(capsys):
    call_command("simulate", EXAMPLES / "pause.yaml", language="de")
    printed = capsys.readouterr().out.replace("\N{NO-BREAK SPACE}", " ")
    assert "Rechnungskorrektur SIM-RK-2026-00001 · CUSTOMER · fällig 19.09.2026" in printed
    assert "    PAUSED   Standleitung  05.09.2026 – 29.09.2026      1  19 %  -416,67" in printed
    assert "      nimmt einen Teil von SIM-RE-2026-00001 zurück" in printed
    assert "      Genau 83,333333… EUR, einmal kaufmännisch gerundet: 83,33 EUR." in printed
    assert "Summe in EUR: netto 416,66, USt 79,16, brutto 495,82" in printed


@pytest.mark.django_db
def test_json_tells_all_of_it_in_texts(capsys):
    call_command("simulate", EXAMPLES / "upgrade.yaml", format="json", language="en")
    found = json.loads(capsys.readouterr().out)
    assert found["amendments"][0] == {
        "path": "$.contracts[0].changes[0]",
        "contract": "SEATS",
        "kind": "price",
        "on": "2026-06-16",
        "effective_on": "2026-06-16",
    }
    document = found["runs"][1]["documents"][0]
    credit, fee = document["lines"]
    assert (document["number"], document["net"], document["vat"], document["gross"]) == (
        "SIM-RE-2026-00002",
        "5.00",
        "0.95",
        "5.95",
    )
    assert document["vat_shares"] == [{"vat_case": "S", "rate": "19", "base": "5.00", "vat": "0.95"}]
    assert (credit["kind"], credit["corrects"], credit["starts_on"], credit["ends_before"]) == (
        "credit",
        "SIM-RE-2026-00001",
        "2026-06-16",
        "2026-07-01",
    )
    assert (fee["product"], fee["trace"]["share"], fee["trace"]["price"]["key"]) == ("PRO", "1/2", "PRO/1/EUR")
    assert found["totals"] == {"EUR": {"net": "102.10", "vat": "19.40", "gross": "121.50"}}


@pytest.mark.django_db
def test_json_files_are_read_like_yaml(tmp_path):
    scenario = parsed((EXAMPLES / "pause.yaml").read_text(), is_json=False)
    file = tmp_path / "pause.json"
    file.write_text(json.dumps(scenario, default=str))
    assert nets(simulation.simulate(simulation.read(file), language="en")) == FIGURES["pause"]


SCENARIO = """
catalog:
  products:
    - {reference: SEAT, prices: [{model: per_unit, unit_price: 10.00}]}
    - {reference: BARE, prices: [{model: per_unit, unit_price: 10.00, currency: USD}]}
tenants: [{reference: A}, {reference: B, parent: A}]
contracts:
  - {reference: V1, tenant: A, starts_on: 2026-01-01, positions: [{product: SEAT}], changes: [CHANGE]}
runs: [{through: 2026-01-01}]
"""


@pytest.mark.parametrize(
    ("before", "after", "refusal"),
    [
        ("quantity", "[", "$: line 10, column 1 cannot be read: did not find expected"),
        ("CHANGE", "{on: 2026-01-05, kind: quantity}", "$.contracts[0].changes[0].quantity: is missing."),
        (
            "CHANGE",
            "{on: 2026-01-05, kind: quantity, quantity: some}",
            "$.contracts[0].changes[0].quantity: must be a number, such as 12.50, not “some”.",
        ),
        (
            "CHANGE",
            "{on: 2026-02-30, kind: resume}",
            "$.contracts[0].changes[0].on: must be a day such as 2026-01-31, not “2026-02-30”.",
        ),
        (
            "CHANGE",
            "{on: 2026-01-05, kind: resume}",
            "$.contracts[0].changes[0]: Contract V1: it does not rest on 5 Jan 2026.",
        ),
        (
            "CHANGE",
            "{on: 2026-01-05, kind: product, product: GONE}",
            "$.contracts[0].changes[0].product: there is no product “GONE” in the catalog.",
        ),
        (
            "CHANGE",
            "{on: 2026-01-05, kind: product, product: BARE}",
            "$.contracts[0].changes[0]: Contract V1: the product BARE has no price in class 1 and EUR on 5 Jan 2026.",
        ),
        (
            "CHANGE",
            "{on: 2026-01-05, kind: quantity, quantity: 2, position: 7}",
            "$.contracts[0].changes[0]: Contract V1: its position 7 does not run on 5 Jan 2026.",
        ),
        (
            "tenant: A, starts",
            "tenant: C, starts",
            "$.contracts[0].tenant: there is no account “C”; it must stand before.",
        ),
        ("parent: A", "parent: C", "$.tenants[1].parent: there is no account “C”; it must stand before."),
        (
            "unit_price: 10.00}]}\n    - {ref",
            "unit_price: 10.00}, {model: flat, flat_amount: 1}]}\n    - {ref",
            "$.catalog.products[0].prices[1]: Another price stands in this cell of the price list on these days.",
        ),
        (
            "positions: [{product: SEAT}]",
            "positions: [{product: SEAT}, {product: SEAT}]",
            "$.contracts[0]: Another position of the contract has this price on these days.",
        ),
        ("runs:", "runz:", "$.runs: is missing.\n$.runz: is not known here; known are:"),
        ("unit_price: 10.00,", "unit_price: 0.00000000001,", "unit_price: has more than 10 decimals."),
        (
            "positions: [{product: SEAT}]",
            "positions: [{product: SEAT, quantity: 1.23456}]",
            "quantity: has more than 4",
        ),
        ("reference: V1", 'reference: "V\\0"', "$.contracts[0].reference: does not have the right form: “V\x00”."),
        ("tenants:", "tenants: [{reference: Z}]\ntenants:", "the field tenants stands twice"),
    ],
)
@pytest.mark.django_db
def test_a_refusal_names_its_place(before, after, refusal, tmp_path):
    file = tmp_path / "scenario.yaml"
    text = SCENARIO.replace(before, after, 1) if before in SCENARIO else SCENARIO + after
    file.write_text(text.replace("[CHANGE]", "[]"))
    with pytest.raises(CommandError) as refused:
        call_command("simulate", file, language="en")
    assert refusal.removesuffix("did not find expected") in str(refused.value)


@pytest.mark.django_db
def test_a_refusal_comes_in_german_and_a_missing_file_in_a_sentence(tmp_path):
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO.replace("CHANGE", "{on: 2026-01-05, kind: quantity}"))
    with pytest.raises(CommandError) as refused:
        call_command("simulate", file, language="de")
    assert str(refused.value) == "$.contracts[0].changes[0].quantity: fehlt."
    with pytest.raises(CommandError, match=r"nowhere\.yaml: No such file or directory"):
        call_command("simulate", tmp_path / "nowhere.yaml", language="en")


@pytest.mark.django_db
def test_who_cannot_be_billed_is_parked_with_the_reason():
    text = SCENARIO.replace("CHANGE", "").replace("parent: A", 'parent: A, kind: end_customer, street: ""')
    with translation.override("en"):
        result = played(text.replace("tenant: A", "tenant: B"))
    reason = "B: street missing; an invoice needs it (§ 14 (4) UStG)."
    assert (result.runs[0].documents, result.runs[0].parked) == ([], [("B", reason)])


@pytest.mark.django_db
def test_terms_are_renewed_between_distant_runs_at_the_prices_of_their_day():
    text = """
catalog:
  products:
    - reference: SEAT
      prices:
        - {model: per_unit, unit_price: 10.00, ends_before: 2026-03-01}
        - {model: per_unit, unit_price: 11.00, starts_on: 2026-03-01, ends_before: 2026-05-01}
contracts:
  - starts_on: 2026-01-01
    term_months: 2
    renewal_months: 2
    notice_days: 30
    positions: [{product: SEAT}]
runs: [{through: 2026-05-01}]
"""
    with translation.override("en"):
        result = played(text)
    assert [(one.kind, one.effective_on) for one in result.amendments] == [("renewal", date(2026, 3, 1))]
    assert result.refused == [
        "Contract V1: the product SEAT has no price in class 1 and EUR on 1 May 2026.",
    ]
    assert [line.net for line in result.documents[0].lines] == [10, 10, 11, 11, 11]


def test_the_schema_knows_every_change_and_no_other():
    schema = json.loads(SCHEMA.read_text())
    Draft202012Validator.check_schema(schema)
    assert schema["$defs"]["change"]["properties"]["kind"]["enum"] == list(changes.STATIONS)


def test_yaml_holds_no_surprises():
    text = "{country: NO, postcode: 01067, day: 2026-01-31, price: 0.1, big: 1_000, yes: true, time: 12:30, none: }"
    assert parsed(text, is_json=False) == {
        "country": "NO",
        "postcode": "01067",
        "day": "2026-01-31",
        "price": Decimal("0.1"),
        "big": "1_000",
        "yes": True,
        "time": "12:30",
        "none": None,
    }


# Live data


def rows() -> dict[str, str]:
    """How many rows every table has, and what all of them say."""
    found = {}
    with connection.cursor() as cursor:
        for table in sorted({model._meta.db_table for model in apps.get_models(include_auto_created=True)}):
            cursor.execute(
                f"select count(*) || ' ' || coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from {table} t"
            )
            found[table] = cursor.fetchone()[0]
    return found


def test_nothing_stays_and_nothing_live_is_held(own_database, monkeypatch):
    issuer = make_small_book()
    before = rows()
    assert before["invoicing_invoice"].startswith("10 ")
    held = []
    run = simulation.running._Play.run

    def watched(self: Any, *arguments: Any) -> None:
        run(self, *arguments)
        with closing(psycopg2.connect(own_database.environment["DATABASE_URL"])) as other, other.cursor() as cursor:
            cursor.execute("select id from invoicing_numberrange for update nowait")
            cursor.execute("select id from tenants_tenant for update nowait")
            cursor.execute("select id from tenants_issuer for update nowait")
            cursor.execute("select pg_try_advisory_xact_lock(%s)", [TREE_LOCK])
            held.append(cursor.fetchone())
            cursor.execute("select count(*) from invoicing_invoice where number like 'SIM%'")
            held.append(cursor.fetchone())

    monkeypatch.setattr(simulation.running._Play, "run", watched)
    assert nets(example("pause")) == FIGURES["pause"]
    assert held == [(True,), (0,)] * 3
    assert rows() == before
    following = NumberRange.objects.get(issuer=issuer, kind="invoice").next_number
    bill(issuer, date(2026, 4, 1), date(2026, 4, 2))
    assert Invoice.objects.filter(sequence=following, kind="invoice").get().number == f"RE-2026-{following:05}"


def test_a_refused_scenario_leaves_nothing(own_database):
    make_small_book()
    before = rows()
    text = SCENARIO.replace("CHANGE", "{on: 2026-01-05, kind: resume}")
    with pytest.raises(simulation.ScenarioRefused):
        played(text)
    assert rows() == before


# The same book, live and simulated


def scenario_of(issuer: Issuer) -> dict[str, Any]:
    """The stored book in the words of a scenario."""
    return {
        "issuer": {"language": issuer.language, "currency": issuer.currency, "payment_days": issuer.payment_days},
        "catalog": {
            "products": [product_of(product) for product in Product.objects.order_by("reference")],
            "discounts": [discount_of(discount) for discount in Discount.objects.order_by("reference")],
        },
        "tenants": [tenant_of(tenant) for tenant in Tenant.objects.order_by("tree_id", "lft")],
        "contracts": [contract_of(contract) for contract in Subscription.objects.order_by("reference")],
        "runs": [{"through": "2026-02-01"}, {"through": "2026-03-01", "issue_on": "2026-03-05"}],
    }


def without_empty(**fields: Any) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, date) else f"{value:f}" if isinstance(value, Decimal) else value
        for name, value in fields.items()
        if value not in (None, "")
    }


def product_of(product: Product) -> dict[str, Any]:
    terms = ("reference", "name_de", "name_en", "unit", "tax_category", "interval", "timing", "proration")
    return {name: getattr(product, name) for name in terms} | {
        "prices": [
            without_empty(
                model=price.model,
                price_class=price.price_class.number,
                currency=price.currency,
                package_size=price.package_size,
                tiers=[
                    without_empty(up_to=tier.up_to, unit_price=tier.unit_price, flat_amount=tier.flat_amount)
                    for tier in price.tiers.all()
                ],
            )
            for price in product.prices.all()
        ]
    }


def discount_of(discount: Discount) -> dict[str, Any]:
    names = ("reference", "name_de", "name_en", "percent", "amount", "currency", "sequence", "periods")
    return without_empty(**{name: getattr(discount, name) for name in names})


def tenant_of(tenant: Tenant) -> dict[str, Any]:
    plain = ("reference", "name", "kind", "street", "postcode", "city", "country", "vat_id", "vat_id_valid")
    settings = ("language", "currency", "price_class", "collection")
    above = {name: getattr(tenant, name) for name in ("parent", "contracting_party", "invoice_to", "pay_by")}
    return without_empty(
        **{name: getattr(tenant, name) for name in (*plain, *settings)},
        **{name: account and account.reference for name, account in above.items()},
    )


def contract_of(contract: Subscription) -> dict[str, Any]:
    terms = ("reference", "currency", "starts_on", "ends_before", "trial_ends_before", "billing_day", "billed_before")
    positions = [{"product": item.product.reference, "quantity": str(item.quantity)} for item in contract.items.all()]
    return without_empty(
        **{name: getattr(contract, name) for name in (*terms, "term_months", "renewal_months", "notice_days")},
        po_number=contract.po_number,
        tenant=contract.tenant.reference,
        price_class=contract.price_class.number,
        positions=positions,
        discounts=[{"discount": grant.discount.reference} for grant in contract.grants.all()],
    )


@pytest.mark.django_db
def test_a_simulation_of_a_book_equals_its_live_run():
    book = Path(settings.BASE_DIR) / "docs" / "sample"
    for name in ("issuer", "catalog", "tenants", "contracts"):
        call_command(f"import_{name}", book / f"{name}.csv", language="en")
    issuer = Issuer.objects.get()
    scenario = simulation.checked(parsed(json.dumps(scenario_of(issuer)), is_json=True))
    with translation.override("en"):
        result = simulation.simulate(scenario, language="en")
    assert Invoice.objects.count() == 0
    bill(issuer, date(2026, 2, 1))
    bill(issuer, MARCH, date(2026, 3, 5))
    live = [
        (
            invoice.recipient.reference,
            invoice.payer.reference,
            invoice.kind,
            invoice.issued_on,
            invoice.due_on,
            invoice.language,
            invoice.po_number,
            invoice.currency,
            invoice.net.amount,
            invoice.vat.amount,
            sorted(
                (line.details["contract"], line.starts_on, line.text, line.quantity, line.vat_rate, line.net.amount)
                for line in invoice.lines.all()
            ),
        )
        for invoice in Invoice.objects.select_related("recipient", "payer").prefetch_related("lines")
    ]
    simulated = [
        (
            one.recipient,
            one.payer,
            one.kind,
            one.issued_on,
            one.due_on,
            one.language,
            one.po_number,
            one.currency,
            one.net,
            one.vat,
            sorted(
                (line.contract, line.starts_on, line.text, line.quantity, line.vat_rate, line.net) for line in one.lines
            ),
        )
        for one in result.documents
    ]
    assert len(live) == 30
    assert sorted(simulated) == sorted(live)
