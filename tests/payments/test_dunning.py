"""An unpaid invoice is reminded on the days of the policy, and no longer once it is paid."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from invoicing import bill_run, posting
from invoicing.models import JournalEntry, LedgerAccount, OpenItem, Posting, PrintTrouble
from payments import dunning
from payments.models import DunningBlock, DunningPolicy, DunningRun, Letter, LetterDelivery, Reminder
from tenants import files
from tenants.models import Contact, Message, Tenant
from tests.builders import make_issuer, make_item, make_subscription, make_tenant
from tests.concurrency import in_thread, wait_until_blocked
from tests.guards import UNNAMED
from tests.server_process import ROOT

ISSUED = date(2026, 2, 1)  # due on 15 February


@pytest.fixture(autouse=True)
def kept_here(tmp_path: Path, settings):
    settings.FILES_ROOT = tmp_path / "files"


def owe(tenant, issuer, *, quantity: int = 1, on: date = ISSUED) -> OpenItem:
    """An issued invoice over 119.00 for each unit for one month, and its open item."""
    ends_before = on.replace(month=on.month + 1)
    subscription = make_subscription(tenant=tenant, issuer=issuer, starts_on=on, ends_before=ends_before)
    make_item(subscription=subscription, quantity=Decimal(quantity))
    run = bill_run.start(issuer=issuer, through=on, issue_on=on, issues_by_itself=True)
    bill_run.bill(run)
    defer_constraints()
    return OpenItem.objects.get(invoice__in=run.invoices.filter(recipient=tenant))


def defer_constraints() -> None:
    """Within the one transaction of a test: a run has them checked at once, until its transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("set constraints all deferred")


def pay(item: OpenItem, amount: str) -> None:
    """Book a payment as the books have it: bank to receivables, naming the item."""
    issuer = item.invoice.issuer
    bank, _ = LedgerAccount.objects.get_or_create(issuer=issuer, role="bank", defaults={"code": "1200", "name": "Bank"})
    receivables = LedgerAccount.objects.get(issuer=issuer, role="receivables")
    with transaction.atomic():
        entry = JournalEntry.objects.create(issuer=issuer, kind="payment", booked_on=ISSUED)
        Posting.objects.bulk_create(
            [
                Posting(entry=entry, account=bank, currency=item.currency, amount=Decimal(amount)),
                Posting(
                    entry=entry, account=receivables, open_item=item, currency=item.currency, amount=-Decimal(amount)
                ),
            ]
        )


def letters() -> list[tuple[str, int, Decimal]]:
    return [(letter.sent_on.isoformat(), letter.level, letter.total.amount) for letter in Letter.objects.order_by("pk")]


@pytest.mark.django_db
def test_levels_come_on_their_days_and_stop_on_payment():
    issuer = make_issuer()
    item = owe(make_tenant(), issuer)
    day = date(2026, 2, 10)
    while day <= date(2026, 3, 12):
        for _ in range(2):  # twice a day: the second run finds nothing
            dunning.remind(issuer, on=day)
        day = date.fromordinal(day.toordinal() + 1)
    assert letters() == [
        ("2026-02-18", 0, Decimal("119")),
        ("2026-02-28", 1, Decimal("119")),
        ("2026-03-10", 2, Decimal("119")),
    ]
    pay(item, "100.00")
    dunning.remind(issuer, on=date(2026, 3, 20))
    assert letters()[3:] == [("2026-03-20", 3, Decimal("19"))]
    dunning.remind(issuer, on=date(2026, 6, 1))
    assert len(letters()) == 4  # nothing follows the last level

    other = owe(make_tenant(), issuer, on=date(2026, 3, 1))
    pay(other, "119.00")
    dunning.remind(issuer, on=date(2026, 6, 2))
    assert len(letters()) == 4
    assert DunningRun.objects.filter(issuer=issuer).count() == 34


@pytest.mark.django_db
def test_a_late_run_makes_up_for_missed_days_one_level_at_a_time():
    issuer = make_issuer()
    owe(make_tenant(), issuer)
    dunning.remind(issuer, on=date(2026, 5, 1))
    dunning.remind(issuer, on=date(2026, 5, 2))
    assert letters() == [("2026-05-01", 0, Decimal("119"))]


@pytest.mark.django_db
def test_one_letter_for_all_items_of_a_level_with_its_pdf_and_mails():
    issuer, payer = make_issuer(), make_tenant(language="en")
    Contact.objects.create(tenant=payer, name="A", email="a@example.com", is_dunning=True)
    Contact.objects.create(tenant=payer, name="B", email="b@example.com", is_dunning=True)
    branch = make_tenant(parent=payer, pay_by=payer, contracting_party=None)
    items = [owe(payer, issuer, quantity=2), owe(branch, issuer, on=date(2026, 2, 2))]
    dunning.remind(issuer, on=date(2026, 2, 19))
    letter = Letter.objects.get()
    assert (letter.payer, letter.level, letter.total.amount, letter.pay_by, letter.language) == (
        payer,
        0,
        Decimal("357"),
        date(2026, 2, 26),
        "en",
    )
    assert set(letter.reminders.values_list("open_item", flat=True)) == {item.pk for item in items}

    assert dunning.write_letters(limit=10) == 1
    assert dunning.write_letters(limit=10) == 0
    letter.refresh_from_db()
    assert letter.file is not None
    assert files.read(letter.file).startswith(b"%PDF")
    assert sorted(letter.deliveries.values_list("recipient", flat=True)) == ["a@example.com", "b@example.com"]
    message = Message.objects.get(recipient="a@example.com")
    assert (message.file, message.file_name, message.tenant) == (letter.file, "Payment-reminder-2026-02-19.pdf", payer)
    for item in items:
        assert str(item.invoice.number) in message.body
    assert "357.00\N{NO-BREAK SPACE}EUR" in message.body


@pytest.mark.django_db
def test_without_contacts_the_accounts_address_and_without_that_on_paper():
    issuer = make_issuer()
    owe(make_tenant(email="konto@example.com"), issuer)
    owe(make_tenant(email=""), issuer, on=date(2026, 2, 2))
    dunning.remind(issuer, on=date(2026, 2, 19))
    dunning.write_letters(limit=10)
    assert list(Message.objects.filter(key__startswith="letter:").values_list("recipient", flat=True)) == [
        "konto@example.com"
    ]
    assert [letter.payer.email for letter in dunning.without_address()] == [""]


@pytest.mark.django_db
@pytest.mark.parametrize("names", ["tenant", "open_item"])
def test_a_block_holds_back_for_its_days_only(names):
    issuer, payer = make_issuer(), make_tenant()
    item = owe(payer, issuer)
    DunningBlock.objects.create(
        **{names: {"tenant": payer, "open_item": item}[names]},
        reason="Reklamation",
        starts_on=date(2026, 2, 18),
        ends_before=date(2026, 2, 21),
    )
    for day in range(17, 24):
        dunning.remind(issuer, on=date(2026, 2, day))
    assert letters() == [("2026-02-21", 0, Decimal("119"))]


@pytest.mark.django_db
def test_what_is_collected_is_listed_unless_the_policy_reminds_of_it(capsys):
    issuer = make_issuer()
    owe(make_tenant(collection="direct_debit"), issuer)
    call_command("remind", "--on", "2026-02-20", "--dry-run")
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3 and said[1].startswith("1 × ")
    assert (DunningRun.objects.count(), Letter.objects.count()) == (0, 0)

    policy = dunning.ensure_policy(issuer)
    dunning.remind(issuer, on=date(2026, 2, 20))
    assert letters() == []
    policy.reminds_collected = True
    policy.save()
    dunning.remind(issuer, on=date(2026, 2, 20))
    assert letters() == [("2026-02-20", 0, Decimal("119"))]


@pytest.mark.django_db
def test_policies_of_staff_are_kept_and_small_amounts_let_be():
    issuer = make_issuer()
    policy = dunning.ensure_policy(issuer)
    assert [(level.level, level.days_after) for level in policy.levels.all()] == [(0, 3), (1, 10), (2, 10), (3, 10)]
    policy.levels.filter(level=0).update(days_after=5)
    policy.threshold = Decimal("200")
    policy.save()
    payer = make_tenant()
    owe(payer, issuer)
    dunning.remind(issuer, on=date(2026, 2, 20))
    assert letters() == []
    owe(payer, issuer, on=date(2026, 2, 2))
    dunning.remind(issuer, on=date(2026, 2, 21))
    assert letters() == [("2026-02-21", 0, Decimal("238"))]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("guard", "statement"),
    [
        ("dunning_policy_name_once", "update payments_dunningpolicy set name = 'STRICT'"),
        ("dunning_policy_one_standard", "update payments_dunningpolicy set is_standard = true"),
    ],
)
def test_guards_of_policies(guard, statement):
    issuer = make_issuer()
    dunning.ensure_policy(issuer)
    DunningPolicy.objects.create(issuer=issuer, name="STRICT")
    with pytest.raises(IntegrityError, match=guard), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "update payments_dunningpolicy set name = 'MILD' where name = 'KIND'",
        "delete from payments_dunningpolicy where name = 'KIND'",
    ],
)
def test_a_policy_that_accounts_name_stays_until_none_does_or_another_issuer_has_it(statement):
    issuer, other = make_issuer(reference="MAIN"), make_issuer(reference="SIDE")
    DunningPolicy.objects.create(issuer=issuer, name="KIND")
    make_tenant(reference="GROUP", dunning_policy="KIND")
    with pytest.raises(DatabaseError) as refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert refusal.value.__cause__.pgcode == UNNAMED
    with transaction.atomic(), connection.cursor() as cursor:
        DunningPolicy.objects.create(issuer=other, name="KIND")
        cursor.execute(statement + " and issuer_id = (select id from tenants_issuer where reference = 'MAIN')")
    Tenant.objects.update(dunning_policy="")
    with connection.cursor() as cursor:
        cursor.execute(statement)
        assert cursor.rowcount == 1


@pytest.mark.django_db
def test_the_form_of_a_policy_names_the_accounts_that_name_it(admin_client):
    issuer = make_issuer()
    policy = DunningPolicy.objects.create(issuer=issuer, name="KIND")
    make_tenant(reference="GROUP", dunning_policy="KIND")
    page = reverse("admin:payments_dunningpolicy_change", args=[policy.pk])
    management = {f"levels-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL")}
    sent = {"issuer": issuer.pk, "threshold": "0", **management}
    refused = admin_client.post(page, sent | {"name": "MILD"})
    sentence = "1 Mandant nennt diese Mahnregel (GROUP): Wählen Sie dort zuerst eine andere."
    assert sentence in refused.content.decode()
    policy.refresh_from_db()
    assert policy.name == "KIND"
    Tenant.objects.update(dunning_policy="")
    assert admin_client.post(page, sent | {"name": "MILD"}).status_code == 302
    policy.refresh_from_db()
    assert policy.name == "MILD"


@pytest.mark.django_db
def test_the_policy_of_the_nearest_account_above_holds():
    """KIND is set at GROUP and inherited by TEAM; STRICT at SHOP; an issuer without it reminds by its standard one."""
    issuer, other = make_issuer(reference="MAIN"), make_issuer(reference="SIDE")
    dunning.ensure_policy(issuer)
    kind = DunningPolicy.objects.create(issuer=issuer, name="KIND", threshold=Decimal("200"))
    kind.levels.create(level=0, days_after=1, days_to_pay=20)
    strict = DunningPolicy.objects.create(issuer=issuer, name="STRICT")
    strict.levels.create(level=1, days_after=2, days_to_pay=3)
    group = make_tenant(reference="GROUP", dunning_policy="KIND")
    team, shop = make_tenant(reference="TEAM", parent=group), make_tenant(reference="SHOP", parent=group)
    Tenant.objects.filter(pk=shop.pk).update(dunning_policy="STRICT")
    plain = make_tenant(reference="PLAIN")
    for payer in (team, shop, plain):
        owe(payer, issuer)
    owe(shop, other)
    for one in (issuer, other):
        dunning.remind(one, on=date(2026, 2, 20))
    found = Letter.objects.order_by("run__issuer__reference", "payer__reference")
    assert list(found.values_list("run__issuer__reference", "payer__reference", "level", "sent_on", "pay_by")) == [
        ("MAIN", "PLAIN", 0, date(2026, 2, 20), date(2026, 2, 27)),
        ("MAIN", "SHOP", 1, date(2026, 2, 20), date(2026, 2, 23)),
        ("SIDE", "SHOP", 0, date(2026, 2, 20), date(2026, 2, 27)),
    ]
    assert [dunning.facts_of(letter).is_last for letter in found] == [False, True, False]
    owe(team, issuer, on=date(2026, 2, 2))  # 238.00: no longer too little to be reminded of
    dunning.remind(issuer, on=date(2026, 2, 21))
    letter = Letter.objects.get(payer=team)
    assert (letter.level, letter.pay_by, letter.total.amount) == (0, date(2026, 3, 13), Decimal("238"))


@pytest.mark.django_db
def test_reminders_are_kept_and_unique():
    issuer = make_issuer()
    item = owe(make_tenant(), issuer)
    dunning.remind(issuer, on=date(2026, 2, 20))
    reminder = Reminder.objects.get()
    with pytest.raises(IntegrityError, match="reminder_once_per_item_and_level"), transaction.atomic():
        Reminder.objects.create(open_item=item, level=0, letter=reminder.letter, currency="EUR", open=Decimal(1))
    dunning.write_letters(limit=1)
    for change in (
        lambda: Reminder.objects.update(level=1),
        lambda: Letter.objects.update(file=None),
        lambda: LetterDelivery.objects.all().delete(),
    ):
        with pytest.raises(Exception, match="append-only"), transaction.atomic():
            change()


def test_two_processes_write_one_letter_per_payer(own_database, tmp_path):
    issuer = make_issuer()
    for _ in range(6):
        make_item(subscription=make_subscription(tenant=make_tenant(), issuer=issuer, starts_on=ISSUED))
    bill_run.bill(bill_run.start(issuer=issuer, through=ISSUED, issue_on=ISSUED, issues_by_itself=True))
    environment = own_database.environment | {"KONTOR_HOME": str(tmp_path / "home")}
    commands = [
        subprocess.Popen(
            [sys.executable, "manage.py", "remind", "--on", "2026-02-18"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    said = [command.communicate(timeout=120)[0] for command in commands]
    assert [command.returncode for command in commands] == [0, 0], said
    assert DunningRun.objects.count() == 1
    assert (Letter.objects.count(), Reminder.objects.count(), LetterDelivery.objects.count()) == (6, 6, 6)
    assert Letter.objects.filter(file=None).count() == 0


@pytest.mark.django_db
def test_a_chunk_takes_as_many_statements_for_one_payer_as_for_many():
    def statements(day: date) -> int:
        with CaptureQueriesContext(connection) as seen:
            dunning.remind(issuer, on=day)
        return len(seen)

    issuer = make_issuer()
    owe(make_tenant(), issuer)
    dunning.remind(issuer, on=date(2026, 2, 17))
    one = statements(date(2026, 2, 18))
    for _ in range(4):
        owe(make_tenant(), issuer, on=date(2026, 2, 2))
    assert statements(date(2026, 2, 20)) == one
    assert Letter.objects.count() == 5


@pytest.mark.django_db
def test_what_turns_up_later_that_day_has_its_turn_tomorrow():
    issuer, payer = make_issuer(), make_tenant()
    owe(payer, issuer)
    item = owe(payer, issuer, on=date(2026, 2, 2))
    block = DunningBlock.objects.create(open_item=item, reason="Reklamation", starts_on=date(2026, 2, 1))
    dunning.remind(issuer, on=date(2026, 2, 20))
    block.delete()
    dunning.remind(issuer, on=date(2026, 2, 20))
    dunning.remind(issuer, on=date(2026, 2, 21))
    assert letters() == [("2026-02-20", 0, Decimal("119")), ("2026-02-21", 0, Decimal("119"))]


def test_a_second_run_waits_for_the_payer_and_then_finds_nothing(own_database, caplog):
    issuer = make_issuer()
    owe(make_tenant(), issuer)
    dunning.remind(issuer, on=date(2026, 2, 17))
    dunning.DunningRun.objects.create(issuer=issuer, on=date(2026, 2, 18))
    with transaction.atomic():
        dunning.remind(issuer, on=date(2026, 2, 18))
        second = in_thread(lambda: dunning.remind(issuer, on=date(2026, 2, 18)))
        wait_until_blocked()
    second.result(timeout=30)
    assert Letter.objects.count() == Reminder.objects.count() == 1

    with transaction.atomic():
        assert dunning.write_letters(limit=5) == 1
        assert in_thread(lambda: dunning.write_letters(limit=5)).result(timeout=30) == 0
    assert not caplog.records  # it let the letter be, it did not fail at it


@pytest.mark.django_db
def test_a_letter_that_cannot_be_made_rests_before_it_is_tried_again(monkeypatch, caplog):
    issuer = make_issuer()
    owe(make_tenant(), issuer)
    dunning.remind(issuer, on=date(2026, 2, 20))
    letter = Letter.objects.get()

    def refuse(*_arguments) -> bytes:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(dunning.letters, "render", refuse)
        assert [dunning.write_letters(limit=5) for _ in range(3)] == [0, 0, 0]
    assert len(caplog.records) == 1
    assert (dunning.waiting().count(), dunning.unwritten().get()) == (0, letter)
    assert dunning.overdue(letter.run.started_at + timedelta(minutes=11)).get() == letter
    assert PrintTrouble.objects.values_list("table", "row", "attempts", "reason").get() == (
        "payments_letter",
        letter.pk,
        1,
        "RuntimeError",
    )
    PrintTrouble.objects.update(next_at=letter.run.started_at)
    assert dunning.write_letters(limit=5) == 1


@pytest.mark.django_db
def test_money_that_is_not_applied_yet_covers_what_is_due_first():
    issuer, tenant = make_issuer(reference="MAIN"), make_tenant()
    item = owe(tenant, issuer, quantity=2)
    posting.ensure_chart(issuer)
    for amount in ("100.00", "138.00"):
        receipt = posting.Receipt(tenant.pk, "EUR", Decimal(amount), posting.account_of(issuer, "bank"), "Überweisung")
        posting.post_receipts(issuer, [receipt], on=date(2026, 2, 16))
        dunning.remind(issuer, on=date(2026, 2, 15 + 3) if amount == "100.00" else date(2026, 3, 20))
    assert [(letter[1:]) for letter in letters()] == [(0, Decimal("138.00"))]
    assert item.due_on == date(2026, 2, 15)
