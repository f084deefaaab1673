"""Issued documents come out again as they stand; what was changed behind the guards is named, by line and figure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from billing.models import Item, Subscription
from invoicing import replay
from invoicing.models import Invoice
from tests.builders import make_grant, make_item, make_price, make_tenant
from tests.config.test_books import tamper, undone
from tests.small_book import MARCH, bill, committed_small_book, make_contract

APRIL = date(2026, 4, 1)


def bill_everything() -> None:
    """On top of the small book: all price models, stubs, discounts, corrections; all issued by April."""
    issuer = Subscription.objects.first().issuer
    tiers = (("10", "2.50", "0"), ("20", "2.40", "7"), (None, "2.30", "0"))
    stairs = (("10", "0", "49"), (None, "0", "89"))
    contract = make_contract(issuer, make_tenant(reference="ALL"), reference="V-ALL", price=make_price())
    for model, steps, more in (
        ("graduated", tiers, {"minimum": Decimal(80)}),
        ("volume", tiers, {"cap": Decimal(50), "free_quantity": Decimal(2)}),
        ("package", [(None, "15", "0")], {"package_size": Decimal(7)}),
        ("stairstep", stairs, {}),
        ("flat", [(None, "0", "99.99")], {}),
    ):
        make_item(
            subscription=contract,
            price=make_price(*steps, model=model, **more),
            quantity=Decimal("25.5"),
            starts_on=date(2026, 2, 12),
            timing="arrears" if model == "flat" else "advance",
        )
    yearly = make_price((None, "1200", "0"))
    make_item(
        subscription=contract, price=yearly, interval="yearly", proration="month_first", starts_on=date(2026, 2, 20)
    )
    make_item(subscription=contract, price=make_price((None, "250", "0")), interval="once")
    make_grant(subscription=contract, reference="D10", percent=Decimal(10), periods=1)
    make_grant(subscription=contract, reference="D5", amount=Decimal(5))
    bill(issuer, MARCH, date(2026, 3, 15))
    Item.objects.filter(price=yearly).update(ends_before=date(2026, 3, 20))
    bill(issuer, APRIL)


@pytest.fixture(scope="module")
def book(template_database: str, django_db_blocker, tmp_path_factory) -> Iterator[None]:
    """Committed; from then on the connection is the owner's."""
    with django_db_blocker.unblock(), committed_small_book(template_database, tmp_path_factory.mktemp("files")):
        bill_everything()
        connection.close()
        with pytest.MonkeyPatch.context() as patch:
            for key in ("USER", "PASSWORD"):
                patch.setitem(connection.settings_dict, key, connections["owner"].settings_dict[key])
            yield
            connection.close()


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    with translation.override("en"):
        yield


def differences(*numbers: str) -> list[str]:
    keys = list(Invoice.objects.filter(number__in=numbers).values_list("pk", flat=True)) if numbers else None
    return [str(difference) for document in replay.replay(keys) for difference in document.differences]


def test_every_document_comes_out_as_it_stands(book):
    documents = list(replay.replay())
    assert [difference for document in documents for difference in document.differences] == []
    assert len(documents) == Invoice.objects.issued().count()
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) filter (where trace ? 'share'), count(*) filter (where trace ? 'slices'),"
            " count(*) filter (where trace ? 'discounts'), count(*) filter (where net < 0) from billing_charge"
        )
        assert all(count > 0 for count in cursor.fetchone())


LINE = (
    "(select l.id from invoicing_line l join invoicing_invoice i on i.id = l.invoice_id where i.number = '{}' limit 1)"
)
FIRST = "RE-2026-00001"
FIRST_LINE = LINE.format(FIRST)
FIRST_CHARGE = f"(select charge_id from invoicing_line where id = {FIRST_LINE})"
FIRST_ITEM = f"(select item_id from billing_charge where id = {FIRST_CHARGE})"


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        pytest.param(
            f"update billing_tier set unit_price = 110 where price_id = (select price_id from billing_item where id ="
            f" {FIRST_ITEM})",
            [
                f"{FIRST}, line 1, tiers of the price: 0 100 0, replayed 0 110 0",
                f"{FIRST}, line 1, net by position, price and discounts: 100.0000, replayed 110.00",
            ],
            id="a price row",
        ),
        pytest.param(
            f"update billing_item set quantity = 3 where id = {FIRST_ITEM}",
            [
                f"{FIRST}, line 1, quantity: 1, replayed 3",
                f"{FIRST}, line 1, net by position, price and discounts: 100.0000, replayed 300.00",
            ],
            id="a position",
        ),
        pytest.param(
            "update billing_charge set trace = jsonb_set(trace, '{exact}', '\"99\"') where id = " + FIRST_CHARGE,
            [
                f"{FIRST}, line 1, exact amount in the trace: 99, replayed 100",
            ],
            id="a trace",
        ),
        pytest.param(
            f"update invoicing_line set net = 90, quantity = 2 where id = {FIRST_LINE}",
            [
                f"{FIRST}, VAT at 19 percent: 19.0000 (100.0000), replayed –",
                f"{FIRST}, VAT at 19 percent: –, replayed 17.10 (90.0000)",
                f"{FIRST}, net: 100.0000, replayed 90.0000",
                f"{FIRST}, VAT: 19.0000, replayed 17.10",
                f"{FIRST}, gross: 119.0000, replayed 107.1000",
                "hash of the content",
                f"{FIRST}, line 1, net: 90.0000, replayed 100.0000",
                f"{FIRST}, line 1, quantity: 2.0000, replayed 1.0000",
            ],
            id="a line",
        ),
        pytest.param(
            f"update invoicing_line set vat_rate = 18 where id = {FIRST_LINE}",
            [
                f"{FIRST}, VAT at 19 percent: 19.0000 (100.0000), replayed –",
                f"{FIRST}, VAT at 18 percent: –, replayed 18.00 (100.0000)",
                f"{FIRST}, VAT: 19.0000, replayed 18.00",
                f"{FIRST}, gross: 119.0000, replayed 118.0000",
                "hash of the content",
                f"{FIRST}, line 1, VAT rate: 18.000, replayed 7 / 19",
            ],
            id="a VAT rate",
        ),
        pytest.param(
            f"update invoicing_invoice set parties = jsonb_set(parties, '{{buyer,name}}', '\"X\"')"
            f" where number = '{FIRST}'",
            ["hash of the content"],
            id="a party",
        ),
        pytest.param(
            f"update invoicing_invoice set chain_hash = repeat('0', 64) where number = '{FIRST}'",
            ["hash of the chain"],
            id="the chain",
        ),
    ],
)
def test_what_was_changed_is_named(book, statement, expected):
    with undone():
        tamper(statement)
        found = differences(FIRST)
        assert len(found) == len(expected)
        for words, difference in zip(sorted(expected), sorted(found), strict=True):
            if words.startswith("hash"):
                assert words in " ".join(found)
            else:
                assert words in found, difference


@pytest.mark.parametrize(
    ("statement", "figure"),
    [
        ("update billing_discount set percent = 11 where reference = 'D10'", "discount D10: 10, replayed 11"),
        ("update billing_discount set amount = 6 where reference = 'D5'", "discount D5: 5, replayed 6"),
        ("update billing_price set minimum = 81 where minimum = 80", "minimum of the price: 80, replayed 81"),
        ("update billing_price set cap = 51 where cap = 50", "maximum of the price: 50, replayed 51"),
        (
            "update billing_price set package_size = 5 where package_size = 7",
            "package size of the price: 7, replayed 5",
        ),
        ("update billing_item set proration = 'actual' where proration = 'month_first'", "parts of a period"),
        ("update billing_item set interval = 'quarterly' where interval = 'yearly'", ", period: "),
        ("delete from billing_tier where up_to is null", "its last tier must be open-ended"),
    ],
)
def test_rows_that_charges_rest_on_are_compared(book, statement, figure):
    with undone():
        tamper(statement)
        assert any(figure in difference for difference in differences()), differences()


def test_a_chunk_takes_the_same_queries_whatever_its_size(book):
    def queries(*numbers: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            differences(*numbers)
        return len(captured)

    assert queries(FIRST) == queries(*Invoice.objects.issued().values_list("number", flat=True))


def test_the_command(book, capsys, monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    call_command("replay", FIRST)
    assert capsys.readouterr().out == "1 Belege nachgerechnet, 0 mit Abweichungen.\n"
    with undone():
        tamper(f"update billing_item set quantity = 3 where id = {FIRST_ITEM}")
        with pytest.raises(CommandError, match="10 Belege nachgerechnet, 2 mit Abweichungen"):
            call_command("replay", "--all")
    assert capsys.readouterr().out.splitlines() == [
        f"{FIRST}, Zeile 1, Menge: 1, nachgerechnet 3",
        f"{FIRST}, Zeile 1, netto nach Vertragsposition, Preis und Rabatten: 100.0000, nachgerechnet 300.00",
        "RE-2026-00006, Zeile 1, Menge: 1, nachgerechnet 3",
        "RE-2026-00006, Zeile 1, netto nach Vertragsposition, Preis und Rabatten: 100.0000, nachgerechnet 300.00",
    ]
    for arguments in ([], ["--all", FIRST], ["RE-1"]):
        with pytest.raises(CommandError):
            call_command("replay", *arguments)
