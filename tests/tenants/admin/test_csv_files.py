"""Lists for spreadsheets: what is a figure stays one, what would be run as a formula does not."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from django.utils import translation

from tenants.admin.csv_files import csv_answer


def test_text_is_neutralised_and_figures_are_not():
    row = ["=1+1", "-5", Decimal("-5.00"), Decimal("0.0000000001"), 3, date(2026, 2, 1), None, "Süd; Nord"]
    with translation.override("en"):
        answer = csv_answer('a"b/ü.csv', list("abcdefgh"), [row])
    assert answer["Content-Disposition"] == 'attachment; filename="a_b__.csv"'
    assert answer.content.decode("utf-8-sig").split("\r\n") == [
        "a;b;c;d;e;f;g;h",
        "'=1+1;'-5;-5.00;0.0000000001;3;2026-02-01;;\"Süd; Nord\"",
        "",
    ]
    assert answer.content.startswith(b"\xef\xbb\xbf")


def test_a_german_spreadsheet_gets_decimal_commas_and_german_days():
    row = [Decimal("-6482.48"), Decimal("100"), date(2026, 12, 31), 1000, "1.5"]
    with translation.override("de"):
        answer = csv_answer("a.csv", list("abcde"), [row])
    assert answer.content.decode("utf-8-sig").split("\r\n")[1] == "-6482,48;100;31.12.2026;1000;1.5"
