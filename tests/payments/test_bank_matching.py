"""A bank's file is taken in once, matched line by line, and booked where it is certain (c-6, A-12, B-19)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from config import books
from invoicing.models import Invoice, LedgerAccount, OpenItem, Posting
from payments import bank_import, bank_lines, matching, receiving
from payments.gateways.reading import FileRefused
from payments.models import (
    Allocation,
    BankAccount,
    BankLine,
    BankStatement,
    LineBooking,
    LineSetAside,
    MatchProposal,
    Payment,
    PaymentReturn,
)
from tenants.models import Issuer, Tenant
from tests.builders import make_issuer, make_price, make_tenant
from tests.payments.bank_files import OURS, Entry, camt, returned
from tests.payments.gateways.samples import camt_findings, needs_samples
from tests.small_book import FEBRUARY, bill, make_contract

pytestmark = pytest.mark.django_db
PAID_ON = date(2026, 3, 2)


@pytest.fixture(autouse=True)
def kept_here(tmp_path: Path, settings):
    settings.FILES_ROOT = tmp_path / "files"
    with translation.override("en"):
        yield


@pytest.fixture
def issuer() -> Issuer:
    return make_issuer(reference="MAIN", iban=OURS)


def make_bank_account(issuer: Issuer, **fields) -> BankAccount:
    bank, _ = LedgerAccount.objects.get_or_create(issuer=issuer, role="bank", defaults={"code": "1200", "name": "Bank"})
    return BankAccount.objects.create(
        **{"issuer": issuer, "name": "Hausbank", "iban": OURS, "ledger_account": bank} | fields
    )


def defer_constraints() -> None:
    """Within the one transaction of a test: a run has them checked at once, until its transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("set constraints all deferred")


def sound() -> bool:
    assert list(books.check(with_files=False)) == []
    return True


def owe(issuer: Issuer, tenants: list[tuple[Tenant, int]]) -> dict[str, list[Invoice]]:
    """Issue invoices over 119.00 for each unit, one per contract; by reference of the account."""
    price = make_price()
    for tenant, quantity in tenants:
        make_contract(issuer, tenant, price=price, quantity=Decimal(quantity))
    bill(issuer, FEBRUARY)
    defer_constraints()
    found: dict[str, list[Invoice]] = {}
    for invoice in Invoice.objects.select_related("payer").order_by("gross", "pk"):
        found.setdefault(invoice.payer.reference, []).append(invoice)
    return found


def customer(number: int, **fields) -> Tenant:
    return make_tenant(reference=f"K{number:05}", name=f"Kundschaft {WORDS[number]} GmbH", **fields)


SYLLABLES = ["ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "zu"]
WORDS = [f"{SYLLABLES[n // 10 % 10]}{SYLLABLES[n % 10]}{SYLLABLES[(n // 7) % 10]}".title() for n in range(200)]


def iban_of(number: int) -> str:
    """A German IBAN of an account with that number."""
    account = f"512108001245{number:06}"
    check = 98 - int(f"{account}131400") % 97
    return f"DE{check:02}{account}"


@dataclass(frozen=True)
class Outcome:
    """What becomes of a line: booked, or proposed with that certainty; its payer, items, rest and reasons."""

    state: str
    payer: str | None
    shares: tuple[tuple[str, str], ...] = ()
    unapplied: str = "0.00"
    reasons: tuple[str, ...] = ()


def outcome_of(line: BankLine) -> Outcome:
    payment = Payment.objects.filter(entry__line_booking__line=line).first()
    if payment is not None:
        shares = tuple((str(one.open_item), f"{one.amount.amount:.2f}") for one in payment.allocations.order_by("pk"))
        left = receiving.credit_of(payment).left
        return Outcome("booked", payment.payer.reference, shares, f"{left:.2f}")
    proposal = line.proposal
    numbers = {item.pk: str(item) for item in OpenItem.objects.select_related("invoice")}
    shares = tuple((numbers[one["item"]], f"{Decimal(one['amount']):.2f}") for one in proposal.shares)
    applied = sum((Decimal(one["amount"]) for one in proposal.shares), Decimal(0))
    return Outcome(
        proposal.Certainty(proposal.certainty).name.lower(),
        proposal.payer and proposal.payer.reference,
        shares,
        f"{abs(line.amount.amount) - applied:.2f}",
        tuple(proposal.reasons),
    )


def hundred(issuer: Issuer) -> tuple[list[tuple[Entry, Outcome]], bytes]:
    """A hundred lines with what must become of each; and the file of a week before, whose payments some return."""
    people = [customer(number) for number in range(1, 94)]
    units = [(person, number) for number, person in enumerate(people, start=1)]
    twice = [customer(number, consolidation="by_contract") for number in range(101, 107)]
    units += [(person, 101 + place) for place, person in enumerate(twice)]
    units += [(person, 121 + place) for place, person in enumerate(twice)]
    documents = owe(issuer, units)

    def number(key: int, which: int = 0) -> str:
        return documents[f"K{key:05}"][which].number

    def gross(key: int, which: int = 0) -> str:
        return f"{documents[f'K{key:05}'][which].gross.amount:.2f}"

    def entry(key: int, amount: str, purpose: str, **fields) -> Entry:
        told = {"name": f"KUNDSCHAFT {WORDS[key].upper()}", "iban": iban_of(key), "reference": f"B{key:04}"}
        return Entry(**{"amount": amount, "purpose": purpose} | told | fields)

    def booked(key: int, *shares: tuple[str, str]) -> Outcome:
        return Outcome("booked", f"K{key:05}", shares)

    rows: list[tuple[Entry, Outcome]] = []
    for key in range(1, 31):
        rows.append((entry(key, gross(key), f"Rechnung {number(key)}"), booked(key, (number(key), gross(key)))))
    ways = [
        str.lower,
        lambda n: n.replace("-", " "),
        lambda n: n.replace("-", ""),
        lambda n: n[3:],
        lambda n: f"Rg.{n}",
    ]
    for key in range(31, 41):
        purpose = ways[key % len(ways)](number(key))
        rows.append((entry(key, gross(key), purpose), booked(key, (number(key), gross(key)))))
    for key in range(41, 49):
        part = Outcome("likely", f"K{key:05}", ((number(key), "100.00"),), "0.00", ("number", "name"))
        rows.append((entry(key, "100.00", f"Teilzahlung {number(key)}"), part))
    for key in range(49, 55):
        more = f"{Decimal(gross(key)) + 5:.2f}"
        over = Outcome("likely", f"K{key:05}", ((number(key), gross(key)),), "5.00", ("number", "name"))
        rows.append((entry(key, more, number(key)), over))
    for key in range(101, 107):
        both = f"{Decimal(gross(key)) + Decimal(gross(key, 1)):.2f}"
        shares = ((number(key), gross(key)), (number(key, 1), gross(key, 1)))
        rows.append((entry(key, both, f"{number(key)} und {number(key, 1)}"), booked(key, *shares)))
    parts = []
    for key in range(55, 65):
        parts.append(entry(key, gross(key), number(key), reference=""))
        rows.append((parts[-1], booked(key, (number(key), gross(key)))))
    for key in range(65, 71):
        wrong = Outcome("likely", f"K{key:05}", ((number(key), gross(key)),), "0.00", ("name",))
        rows.append((entry(key, gross(key), f"Rechnung 2025-{key}"), wrong))
    for key in range(71, 75):
        misread = number(key).replace("RE-2026-0", "RE-2O26-O")
        alike = Outcome("likely", f"K{key:05}", ((number(key), gross(key)),), "0.00", ("number_alike", "name"))
        rows.append((entry(key, gross(key), misread), alike))
    for key in range(75, 79):
        stranger = Outcome("likely", f"K{key:05}", ((number(key), gross(key)),), "0.00", ("number",))
        rows.append((entry(key, gross(key), number(key), name=f"Tante {WORDS[key]}"), stranger))
    for key in range(1, 5):
        again = Outcome("possible", f"K{key:05}", (), gross(key), ("number", "name", "settled"))
        rows.append((entry(key, gross(key), f"nochmal {number(key)}", reference=f"Z{key}"), again))
    for key in range(151, 155):
        nobody = Outcome("unclear", None, (), "77.77", ())
        rows.append((entry(key, "77.77", "Danke", name=f"Niemand {WORDS[key]}"), nobody))
    for key in range(79, 83):
        fee = "5.50" if key % 2 else "0"
        back = returned(entry(key, gross(key), number(key), end_to_end_id=f"E-{key}"), "MD06", fee)
        rows.append((back, Outcome("likely", f"K{key:05}", (), f"{-back.value:.2f}", ("return",))))
    for key in (83, 84):
        costs = Outcome("unclear", None, (), "4.90", ("outgoing",))
        rows.append((Entry("-4.90", f"Entgelt {key}", reference=f"X{key}"), costs))
    for key in (85, 87):
        both = f"{Decimal(gross(key)) + Decimal(gross(key + 1)):.2f}"
        foreign = Outcome("unclear", f"K{key:05}", (), both, ("number", "name", "other_tree"))
        rows.append((entry(key, both, f"{number(key)}, {number(key + 1)}"), foreign))
    earlier = camt(
        *[entry(key, gross(key), number(key), end_to_end_id=f"E-{key}", day="2026-02-23") for key in range(79, 83)],
        day="2026-02-23",
        number="1",
    )
    assert len(rows) == 100
    return rows, earlier


def file_of(rows: list[tuple[Entry, Outcome]]) -> bytes:
    """The hundred as one statement of 91 bookings: ten of them stand in one collective one."""
    parts = [one for one, _ in rows if one.reference == "" and not one.reason]
    total = f"{sum((one.value for one in parts), Decimal(0)):.2f}"
    collective = Entry(total, parts=parts, reference="COLLECTIVE")
    singles = [one for one, _ in rows if one not in parts]
    place = 54
    return camt(*singles[:place], collective, *singles[place:], number="2", opening="40000.00")


def test_c6_a_hundred_transfers_have_their_hundred_outcomes(issuer, tmp_path):
    account = make_bank_account(issuer)
    rows, earlier = hundred(issuer)
    bank_import.take_in(earlier, "earlier.xml")
    assert matching.match(account) == matching.Result(looked_at=4, booked=4, proposed=0, unclear=0)
    data = file_of(rows)
    (told,) = bank_import.take_in(data, "hundred.xml")
    assert (len(told.fresh), told.known, told.statement.troubles) == (100, 0, ())
    with CaptureQueriesContext(connection) as asked:
        matching.propose(account)
    assert len(asked) <= 20  # whatever the lines are
    result = matching.match(account)
    assert result == matching.Result(looked_at=100, booked=56, proposed=36, unclear=8)
    by_purpose = {line.purpose: line for line in BankLine.objects.filter(statement=told.stored)}
    found = [outcome_of(by_purpose[entry.purpose]) for entry, _ in rows]
    assert found == [outcome for _, outcome in rows]
    assert sound()

    before = [table.objects.count() for table in ALL]
    (again,) = bank_import.take_in(data, "again.xml")
    assert again.is_known and again.fresh == ()
    assert matching.match(account).booked == 0
    assert [table.objects.count() for table in ALL] == before

    for line in BankLine.objects.filter(is_return=True):
        bank_lines.book_return(line, line.proposal.payment)
    assert PaymentReturn.objects.filter(charges=Decimal("5.50"), reason_code="MD06").count() == 2
    items = OpenItem.objects.filter(
        payer__reference__in=["K00079", "K00080", "K00081", "K00082"], invoice__isnull=False
    )
    assert {item.open_amount == item.amount.amount for item in items.with_open_amount()} == {True}
    charges = Posting.objects.filter(account__role="bank_charges").aggregate(s=Sum("amount"))["s"]
    assert charges == Decimal("11.00")
    bank = Posting.objects.filter(account__role="bank").aggregate(s=Sum("amount"))["s"]
    assert bank == LineBooking.objects.aggregate(s=Sum("amount"))["s"]
    assert sound()


ALL = (BankStatement, BankLine, LineBooking, Payment, Allocation, PaymentReturn, Posting, OpenItem, LineSetAside)


@needs_samples
def test_our_files_are_those_of_a_bank(issuer, tmp_path):
    rows, earlier = hundred(issuer)
    path = tmp_path / "hundred.xml"
    path.write_bytes(file_of(rows))
    other = tmp_path / "earlier.xml"
    other.write_bytes(earlier)
    assert camt_findings(path, other) == ""


def test_b19_a_payment_of_60_on_75_leaves_15(issuer):
    """And it stands in the statement of the account with its reference."""
    from invoicing import account_statement

    payer = make_tenant(reference="B19")
    make_contract(issuer, payer, price=make_price((None, "63.03", "0")))
    bill(issuer, FEBRUARY)
    defer_constraints()
    invoice = Invoice.objects.get()
    assert invoice.gross.amount == Decimal("75.01")
    make_bank_account(issuer)
    bank_import.take_in(camt(Entry("60.00", "Anzahlung, danke", name=payer.name)), "b19.xml")
    line = BankLine.objects.get()
    bank_lines.book(line, payer)
    (statement,) = account_statement.statements(payer, with_descendants=False, after=None, through=PAID_ON)
    assert [(one.kind, one.document, one.amount) for one in statement.movements] == [
        ("issue", invoice.number, Decimal("-75.01")),
        ("payment", "Anzahlung, danke", Decimal("60.00")),
    ]
    assert statement.closing == Decimal("-15.01")


ONE = Entry("119.00", "RE-2026-00001", "Wer", iban_of(1), reference="R1")


def test_two_equal_lines_of_one_file_are_two_and_of_two_files_one(issuer):
    make_bank_account(issuer)
    (first,) = bank_import.take_in(camt(ONE, ONE), "a.xml")
    assert len(first.fresh) == 2
    (second,) = bank_import.take_in(camt(ONE, ONE, replace(ONE, amount="5.00"), day="2026-03-02"), "b.xml")
    assert (len(second.fresh), second.known) == (1, 2)
    assert list(BankLine.objects.order_by("pk").values_list("amount", "ordinal")) == [
        (Decimal("119.00"), 0), (Decimal("119.00"), 1), (Decimal("5.00"), 0),
    ]  # fmt: skip


def test_equal_lines_of_two_numbered_statements_of_a_day_are_two(issuer):
    make_bank_account(issuer)
    plain = replace(ONE, reference="")
    bank_import.take_in(camt(plain, number="7"), "a.xml")
    (second,) = bank_import.take_in(camt(plain, number="8", opening="1119.00"), "b.xml")
    assert len(second.fresh) == 1


def test_a_notification_first_then_the_statement(issuer):
    make_bank_account(issuer)
    parts = [replace(ONE, reference=""), replace(ONE, reference="", amount="81.00", purpose="RE-2026-00002")]
    collective = Entry("200.00", parts=parts, reference="C1")
    (first,) = bank_import.take_in(camt(collective, message="054"), "054.xml")
    assert len(first.fresh) == 2
    (same,) = bank_import.take_in(camt(collective), "053.xml")
    assert (len(same.fresh), same.known) == (0, 2)
    (sum_only,) = bank_import.take_in(camt(collective, number="9", with_details=False), "sum.xml")
    assert len(sum_only.fresh) == 0


def test_a_sum_first_then_its_payments(issuer):
    make_bank_account(issuer)
    parts = [replace(ONE, reference=""), replace(ONE, reference="", amount="81.00", purpose="RE-2026-00002")]
    collective = Entry("200.00", parts=parts, reference="C1")
    bank_import.take_in(camt(collective, with_details=False), "sum.xml")
    (details,) = bank_import.take_in(camt(collective, message="054"), "054.xml")
    assert len(details.fresh) == 2
    assert LineSetAside.objects.get().reason == "Its payments were told one by one."
    undecided = BankLine.objects.undecided().values_list("amount", flat=True)
    assert sorted(undecided) == [Decimal("81.00"), Decimal("119.00")]


def test_a_single_transfer_as_large_as_a_collective_one_is_no_part_of_it(issuer):
    make_bank_account(issuer)
    parts = [replace(ONE, reference=""), replace(ONE, reference="", amount="81.00", purpose="RE-2026-00002")]
    bank_import.take_in(camt(Entry("200.00", parts=parts, reference="C1"), message="054"), "054.xml")
    (other,) = bank_import.take_in(camt(Entry("200.00", "RE-2026-00009", reference="S1")), "053.xml")
    assert len(other.fresh) == 1


def test_bank_data_are_unreadable_in_the_database_and_on_disk(issuer, tmp_path):
    make_bank_account(issuer)
    entry = replace(ONE, purpose=f"Erstattung auf {iban_of(1)}")
    data = camt(entry)
    bank_import.take_in(data, "a.xml")
    line = BankLine.objects.get()
    assert (line.iban_tail, line.purpose) == ("0001", "Erstattung auf …0001")
    with connection.cursor() as cursor:
        cursor.execute("select l::text from payments_bankline l")
        assert iban_of(1) not in str(cursor.fetchall())
    kept = [path.read_bytes() for path in (tmp_path / "files").rglob("*") if path.is_file()]
    assert len(kept) == 1 and iban_of(1).encode() not in kept[0]
    assert bank_import.stored_file(BankStatement.objects.get()) == data


IBAN = "DE89370400440532013000"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (IBAN, "…3000"),
        (f"MIETE {IBAN} RECHNUNG 17", "MIETE …3000 RECHNUNG 17"),
        (f"IBAN{IBAN}BIC", "IBAN…3000BIC"),
        ("DE89 3704 0044 0532 0130 00 RE 17", "…3000 RE 17"),
        ("DE89-3704-0044-0532-0130-00", "…3000"),
        (f"{IBAN.lower()} {IBAN}", "…3000 …3000"),
        ("DE88370400440532013000 RE-2026-00017", "DE88370400440532013000 RE-2026-00017"),  # wrong check digits
    ],
)
def test_an_iban_is_found_among_whatever_words(said, shown):
    assert bank_import.masked(said) == shown


def test_an_iban_in_any_field_of_a_line_is_masked(issuer):
    make_bank_account(issuer)
    bank_import.take_in(camt(Entry("5.00", f"VON {IBAN} AN", end_to_end_id=IBAN, mandate=IBAN, reference=IBAN)))
    with connection.cursor() as cursor:
        cursor.execute("select l::text from payments_bankline l")
        assert "0532013" not in cursor.fetchone()[0]


def test_the_own_reference_of_a_payment_makes_no_second_line_of_it(issuer):
    """A notification tells the payment's reference beside that of the booking; the statement the latter alone."""
    make_bank_account(issuer)
    entry = Entry("119.00", "RE-1", reference="B-1")
    told = camt(entry, message="054").replace(b"<Refs>", b"<Refs><AcctSvcrRef>T-1</AcctSvcrRef>")
    bank_import.take_in(told, "camt054.xml")
    bank_import.take_in(camt(entry), "camt053.xml")
    assert BankLine.objects.count() == 1


def test_a_day_outside_of_time_is_refused(issuer):
    make_bank_account(issuer)
    with pytest.raises(FileRefused, match="not a day of the calendar"):
        bank_import.take_in(camt(Entry("119.00", "RE-1", day="0001-01-01")))


def test_a_number_that_is_none_is_not_counted(issuer):
    account = make_bank_account(issuer)
    bank_import.take_in(camt(Entry("5.00"), number="²"))
    bank_import.take_in(camt(Entry("6.00"), number="7"))
    assert bank_import.missing_numbers([account.pk]) == {account.pk: []}


def test_a_preview_writes_nothing(issuer, tmp_path):
    make_bank_account(issuer)
    (told,) = bank_import.preview(camt(ONE), "a.xml")
    assert len(told.fresh) == 1 and told.stored is None
    assert not BankStatement.objects.exists() and not list((tmp_path / "files").rglob("*.bin"))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(camt(ONE, account="DE02120300000000202051"),
                     "The file is of an account ending in 2051, which is no active bank account of yours.", id="other"),
        pytest.param(camt(ONE).replace(b'Ccy="EUR"', b'Ccy="CHF"').replace(b"<Ccy>EUR", b"<Ccy>CHF"),
                     "The file is in CHF, but Hausbank …6907 is kept in EUR.", id="currency"),
        pytest.param(b"   ", "The file is empty.", id="empty"),
    ],
)  # fmt: skip
def test_files_that_are_not_taken_in(issuer, data, reason):
    make_bank_account(issuer)
    with pytest.raises(FileRefused) as refused:
        bank_import.take_in(data, "a.xml")
    assert str(refused.value) == reason
    assert not BankStatement.objects.exists()


def test_a_file_with_one_bad_statement_is_not_taken_in_at_all(issuer):
    make_bank_account(issuer)
    good = camt(ONE, number="1").decode()
    record = good[good.index("<Stmt>") : good.index("</Stmt>") + 7]
    both = good.replace("</Stmt>", "</Stmt>" + record.replace(OURS, "DE02120300000000202051"))
    with pytest.raises(FileRefused):
        bank_import.take_in(both.encode(), "a.xml")
    assert not BankStatement.objects.exists() and not BankLine.objects.exists()


def test_gaps_between_statements_are_told(issuer):
    account = make_bank_account(issuer)
    bank_import.take_in(camt(ONE, number="1", day="2026-03-02"), "a.xml")
    later = replace(ONE, day="2026-03-05", reference="R2")
    bank_import.take_in(camt(later, number="4", day="2026-03-05", opening="1200.00"), "b.xml")
    ((before, after, difference),) = bank_import.gaps([account.pk])[account.pk]
    assert (before.number, after.number, difference) == ("1", "4", Decimal("81.00"))
    assert bank_import.missing_numbers([account.pk])[account.pk] == [(2026, 2, 3)]


def book_one(issuer: Issuer, amount: str = "119.00", **fields) -> tuple[BankAccount, Invoice, BankLine]:
    """One payer owes 119.00, and a line of ``amount`` names the document."""
    account = make_bank_account(issuer, **fields)
    payer = make_tenant(reference="K10001", name="Eins GmbH")
    owe(issuer, [(payer, 1)])
    invoice = Invoice.objects.get()
    bank_import.take_in(camt(Entry(amount, invoice.number, "Eins GmbH", iban_of(1), "E-1", reference="R1")), "a.xml")
    return account, invoice, BankLine.objects.get()


def open_of(invoice: Invoice) -> Decimal:
    return OpenItem.objects.with_open_amount().get(invoice=invoice).open_amount


def test_nothing_is_booked_by_itself_where_the_account_says_so(issuer):
    account, invoice, _line = book_one(issuer, books_by_itself="never")
    assert matching.match(account) == matching.Result(1, 0, 1, 0)
    assert MatchProposal.objects.get().certainty == MatchProposal.Certainty.CERTAIN
    assert open_of(invoice) == Decimal("119.00")


def test_a_small_difference_is_written_off_with_its_vat(issuer):
    account, invoice, _line = book_one(issuer, "118.00", small_difference=Decimal("1.00"))
    assert matching.match(account).booked == 1
    assert open_of(invoice) == 0
    written = dict(Posting.objects.filter(entry__kind="write_off").values_list("account__role", "amount"))
    assert written == {"receivables": Decimal("-1.00"), "write_off_S_19": Decimal("0.84"), "vat_19": Decimal("0.16")}
    assert sound()


def test_what_was_booked_by_mistake_is_taken_out_and_waits_again(issuer):
    account, invoice, line = book_one(issuer)
    assert matching.match(account).booked == 1
    assert open_of(invoice) == 0
    bank_lines.take_out(line, on=date(2026, 3, 4), reason="gehört zu einem anderen", by=None)
    assert open_of(invoice) == Decimal("119.00")
    assert list(BankLine.objects.undecided()) == [line]
    other = make_tenant(reference="K10002")
    payment = bank_lines.book(line, other)
    assert receiving.credit_of(payment).left == Decimal("119.00")
    assert not BankLine.objects.undecided().exists()
    assert sound()


def test_a_line_is_set_aside_with_a_reason_and_put_back(issuer):
    _account, _invoice, line = book_one(issuer)
    with pytest.raises(bank_lines.NotBooked, match="for a reason"):
        bank_lines.set_aside(line, reason=" ")
    bank_lines.set_aside(line, reason="Umbuchung")
    assert not BankLine.objects.undecided().exists()
    with pytest.raises(bank_lines.NotBooked, match="set aside; put it back first"):
        bank_lines.book(line, Tenant.objects.get(reference="K10001"))
    bank_lines.put_back(line)
    assert list(BankLine.objects.undecided()) == [line]


def test_a_line_is_booked_once(issuer):
    account, _invoice, line = book_one(issuer)
    matching.match(account)
    with pytest.raises(bank_lines.NotBooked, match="booked already"):
        bank_lines.book(line, Tenant.objects.get(reference="K10001"))
    with pytest.raises(bank_lines.NotBooked, match="booked already"):
        bank_lines.set_aside(line, reason="zu spät")
    assert Payment.objects.count() == 1
