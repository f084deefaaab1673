"""The main job as a clerk does it, in both languages: import, look, bill, hold, release, issue, open a PDF, be owed."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.utils import translation
from playwright.sync_api import expect
from pypdf import PdfReader

from billing.models import Subscription
from invoicing.models import DocumentFile
from tests.browser.conftest import CLERK, PASSWORD, PATIENCE, Desk, from_database
from tests.conftest import ROOT

pytestmark = pytest.mark.browser

SAMPLE = ROOT / "docs" / "sample"
DAY = {"de": "01.02.2026", "en": "2026-02-01"}
READ_AS = {
    "de": "Zeichensatz UTF-8 (BOM), Trennzeichen „;“, Dezimalzeichen „,“, Datumsangaben tt.mm.jjjj",
    "en": "encoding UTF-8 (BOM), delimiter “;”, decimal sign “,”, dates dd.mm.yyyy",
}
MISTAKES = {
    "de": [
        ["3", "V-0002", "quantity", "„zwanzig“ ist keine Zahl in der Schreibweise 1234,5 ohne Tausendertrennzeichen"],
        ["5", "V-0004", "tenant", "es gibt keinen Mandanten „K9999“"],
    ],
    "en": [
        ["3", "V-0002", "quantity", "“zwanzig” is not a number written like 1234,5, without thousands separators"],
        ["5", "V-0004", "tenant", "there is no account “K9999”"],
    ],
}
TAKEN_IN = ("%(count)d row was taken in.", "%(count)d rows were taken in.")
# What the sample is to be billed, through and dated 2026-02-01. Payer, lines, net, VAT, gross:
DOCUMENTS = """
    K0001 11 3061.40 581.67 3643.07
    K0002 2 685.80 130.30 816.10
    K0003 3 368.00 69.92 437.92
    K0004 3 1040.28 197.65 1237.93
    K0006 1 1080.00 205.20 1285.20
    K0007 4 720.00 136.80 856.80
    K0008 1 598.70 113.75 712.45
    K0009 2 428.40 81.40 509.80
    K0010 2 1124.10 213.58 1337.68
    K0011 2 51.61 9.81 61.42
    K0012 1 1080.00 205.20 1285.20
    K0016 13 6487.35 1232.60 7719.95
    K0016 1 1080.00 205.20 1285.20
    K0023 1 100.00 19.00 119.00
    K0024 1 1200.00 228.00 1428.00
    K0025 4 2006.40 0.00 2006.40
    K0026 2 1813.68 0.00 1813.68
"""
ROWS = [line.split() for line in DOCUMENTS.strip().splitlines()]
DOLLARS = "K0025"  # pays in USD, everybody else in EUR
SUMS = {"EUR": ("16", "20919.32", "24549.40"), "USD": ("1", "2006.40", "2006.40")}  # documents, net, gross
HELD = "K0008"  # 712.45 gross
OPEN = {"EUR": "23836.95", "USD": "2006.40"}  # without the one held back


@pytest.mark.parametrize("language", ["de", "en"])
def test_a_clerk_takes_contracts_in_and_sends_invoices_out(desk_in: Callable[[str], Desk], language: str) -> None:
    desk = desk_in(language)
    sign_in(desk)
    take_master_data_in(desk)
    be_refused_a_file_with_mistakes(desk)
    take_contracts_in(desk)
    start_a_run(desk)
    decide(desk)
    see_a_document(desk)
    see_what_is_open(desk)
    desk.page.emulate_media(color_scheme="dark")
    desk.go("Overview")
    desk.look("18 overview in the dark")

    assert desk.complaints == []


def sign_in(desk: Desk) -> None:
    """With the keyboard alone, in the browser's language; the clerk then chooses the other one."""
    page = desk.page
    page.goto(f"{desk.address}/")
    expect(page.locator("[name=username]")).to_be_focused()
    desk.look("01 sign in")
    page.keyboard.type(CLERK)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("button", name=CLERK).press("Enter")
    page.get_by_role("button", name={"de": "Deutsch", "en": "English"}[desk.language]).press("Enter")
    expect(page.locator("html")).to_have_attribute("lang", desk.language)
    desk.look("02 nothing there yet")


def offer(desk: Desk, name: str, content: bytes) -> None:
    desk.page.locator("input[type=file]").set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})
    desk.click("Read and compare")


def take_master_data_in(desk: Desk) -> None:
    page = desk.page
    steps = [
        ("Import your company as issuer", "issuer", 1),
        ("Import the catalog", "catalog", 52),
        ("Import the accounts", "tenants", 26),
    ]
    for step, name, rows in steps:
        desk.go("Overview")
        desk.follow(step)
        desk.look(f"03 import of {name}")
        offer(desk, f"{name}.csv", (SAMPLE / f"{name}.csv").read_bytes())
        expect(page.locator("tbody tr")).to_have_count(rows)
        desk.look(f"04 what {name} changes")
        desk.click("Take in")
        expect(page.get_by_text(desk.counted(*TAKEN_IN, rows))).to_be_visible()


def be_refused_a_file_with_mistakes(desk: Desk) -> None:
    desk.go("Contracts")
    desk.follow("Import")
    sound = (SAMPLE / "contracts.csv").read_text("utf-8-sig")
    bad = sound.replace("ARCHIVE;20;", "ARCHIVE;zwanzig;").replace("K0003;ARCHIVE", "K9999;ARCHIVE")
    offer(desk, "mistakes.csv", bad.encode())
    rows = desk.page.locator("tbody tr")
    expect(rows).to_have_count(2)
    for row, (number, reference, column, reason) in zip(rows.all(), MISTAKES[desk.language], strict=True):
        expect(row.locator("td").nth(0)).to_have_text(number)
        expect(row.locator("td").nth(1)).to_have_text(reference)
        expect(row.locator("td").nth(3)).to_have_text(f"{column} {reason}")
    expect(desk.page.get_by_role("button", name=desk.said("Take in"), exact=True)).to_have_count(0)
    desk.look("05 mistakes")
    assert from_database(Subscription.objects.count) == 0


def take_contracts_in(desk: Desk) -> None:
    page = desk.page
    desk.go("Contracts")
    desk.follow("Import")
    content = (SAMPLE / "contracts.csv").read_bytes()
    offer(desk, "contracts.csv", content)
    expect(page.get_by_text(READ_AS[desk.language], exact=True)).to_be_visible()
    expect(page.locator("tbody tr")).to_have_count(37)
    desk.look("06 what contracts change")
    desk.click("Take in")
    expect(page.get_by_text(desk.counted(*TAKEN_IN, 37))).to_be_visible()
    assert from_database(Subscription.objects.count) == 37

    desk.go("Contracts")
    desk.look("07 contracts")
    desk.follow("Import")
    offer(desk, "contracts.csv", content.replace(b"V-0001;K0001;SEAT;5;", b"V-0001;K0001;SEAT;6;"))
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody td").last).to_have_text("quantity 5 → 6")
    desk.look("08 one difference")  # looked at only


def dry_run() -> list[str]:
    said = io.StringIO()
    with translation.override("en"):
        call_command("bill", "--through", "2026-02-01", "--dry-run", stdout=said)
    return said.getvalue().splitlines()


def start_a_run(desk: Desk) -> None:
    """What is proposed is exactly what the dry run of the command says."""
    page = desk.page
    rehearsed = from_database(dry_run)
    assert [line.split(";")[0:5:4] for line in rehearsed if line.startswith("K")] == [row[:2] for row in ROWS]
    for currency, (documents, net, gross) in SUMS.items():
        assert f"{currency}: {documents} documents, net {net}, gross {gross}" in rehearsed

    desk.go("Overview")
    page.get_by_role("link", name=desk.said("Start a bill run"), exact=True).last.click()
    page.locator("[name=through]").fill(DAY[desk.language])
    page.locator("[name=issue_on]").fill(DAY[desk.language])
    desk.look("09 start a run")
    desk.click("Start")
    expect(page.locator("[data-progress-percent]")).to_have_text("100 %")
    expect(page.locator("[data-progress-url]")).to_have_count(0)
    desk.look("10 proposed")
    expect(page.locator(".k-panel > .k-big")).to_have_text([desk.money(SUMS["EUR"][2]), desk.money("2006.40", "USD")])
    assert shown_documents(desk) == [
        (payer, *(desk.money(amount, currency_of(payer)) for amount in amounts)) for payer, _lines, *amounts in ROWS
    ]


def currency_of(payer: str) -> str:
    return "USD" if payer == DOLLARS else "EUR"


def shown_documents(desk: Desk) -> list[tuple[str, ...]]:
    """Payer, net, VAT and gross of each row of the run's page."""
    cells = desk.page.locator("#documents tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"
    )
    return [(row[2].split()[0], *row[4:7]) for row in cells]


def decide(desk: Desk) -> None:
    """One is held back with a reason; the others are released and issued."""
    page = desk.page
    row = page.locator("#documents tbody tr").filter(has_text=HELD)
    row.get_by_role("checkbox").check()
    page.get_by_label(desk.said("Reason"), exact=True).fill("Menge klären")
    desk.click("Hold selected")
    expect(row).to_contain_text(desk.said("held"))
    expect(row).to_contain_text("Menge klären")
    desk.look("11 one held back")

    page.get_by_role("button", name=desk.said("Release all %(n)s", n=16), exact=True).click()
    expect(page.get_by_text(desk.counted("%d document released.", "%d documents released.", 16))).to_be_visible()
    desk.look("12 released")

    page.get_by_role("button", name=desk.said("Issue %(n)s released", n=16), exact=True).click()
    expect(page.get_by_text(desk.counted("%d document issued.", "%d documents issued.", 16))).to_be_visible()
    assert len(desk.asked) == 1 and "16" in desk.asked[0]
    desk.look("13 issued")
    numbers = page.locator("#documents tbody tr td:nth-child(2)").all_inner_texts()
    assert [number for number in numbers if number.startswith("RE-")] == [f"RE-2026-{n:05}" for n in range(1, 17)]


def wait_for_files(count: int) -> None:
    """Until the worker has printed so many documents."""
    deadline = time.monotonic() + PATIENCE
    while (made := DocumentFile.objects.count()) < count:
        assert time.monotonic() < deadline, f"only {made} of {count} documents are printed"
        time.sleep(0.2)


def see_a_document(desk: Desk) -> None:
    """The first document on its page, and its PDF opened from there."""
    page = desk.page
    page.get_by_role("link", name="RE-2026-00001", exact=True).click()
    expect(page.locator(".k-summary .k-big")).to_have_text(desk.money("3643.07"))
    page.locator("details summary").first.click()
    expect(page.locator("details[open] li").first).to_be_visible()
    desk.look("14 a document")
    assert page.locator("tr:has(details)").count() == 11

    from_database(lambda: wait_for_files(16))
    with (
        page.context.expect_page() as opened,
        page.context.expect_event("response", lambda answer: answer.url.endswith("/pdf/")) as answered,
    ):
        desk.follow("PDF")
    opened.value.close()
    assert answered.value.headers["content-type"] == "application/pdf"
    content = page.request.get(answered.value.url).body()
    assert content.startswith(b"%PDF-")
    text = " ".join(sheet.extract_text() for sheet in PdfReader(io.BytesIO(content)).pages)
    assert "RE-2026-00001" in text and "3.643,07" in text  # in the customer's language, whatever the clerk's is


def see_what_is_open(desk: Desk) -> None:
    page = desk.page
    desk.go("Open items")
    expect(page.locator(".k-sums .k-sum")).to_have_text([desk.money(OPEN["EUR"]), desk.money(OPEN["USD"], "USD")])
    amounts = page.locator("#result_list tbody tr td:last-child").all_inner_texts()
    assert sorted(amounts) == sorted(desk.money(row[-1], currency_of(row[0])) for row in ROWS if row[0] != HELD)
    desk.look("15 open items")
    page.get_by_role("link", name="RE-2026-00001", exact=True).click()
    desk.look("16 an open item")
    desk.follow("K0001 Nordlicht Logistik GmbH")
    desk.look("17 an account")
