"""Take our own legal entities in from a file."""

from collections.abc import Sequence
from typing import Any
from zoneinfo import available_timezones

from django.utils.translation import gettext
from moneyed import CURRENCIES
from stdnum import bic, iban

from tenants import import_rows, vat_id
from tenants.cells import Choice, Text, Whole
from tenants.import_rows import CHANGED, NEW, UNCHANGED, Recipe, Staged, Verdict
from tenants.models import ImportBatch, Issuer
from tenants.models.issuer import DocumentFormat
from tenants.tabular import RowError
from tenants.tenant_import import EMAIL, countries

COLUMNS = (
    Text(name="issuer", required=True, max_length=60),
    Text(name="name", required=True, max_length=200),
    Text(name="street", required=True, max_length=200),
    Text(name="postcode", required=True, max_length=20),
    Text(name="city", required=True, max_length=100),
    Text(name="country", required=True, max_length=2, upper=True),
    Text(name="vat_id", max_length=20, upper=True),
    Text(name="tax_number", max_length=30),
    Text(name="email", required=True, max_length=254, pattern=EMAIL, example="rechnung@example.com"),
    Text(name="phone", max_length=50),
    Text(name="contact", max_length=100),
    Text(name="iban", max_length=42, upper=True),
    Text(name="bic", max_length=11, upper=True),
    Choice(name="language", choices=("de", "en")),
    Text(name="currency", max_length=3, upper=True),
    Text(name="time_zone", max_length=50),
    Text(name="register_entry", max_length=200),
    Text(name="managing_directors", max_length=200),
    Whole(name="payment_days", maximum=365),
    Choice(name="document_format", choices=tuple(DocumentFormat.values)),
)
# an empty cell leaves these as they are
DEFAULTED = ("language", "currency", "time_zone", "payment_days", "document_format")


def judge(batch: ImportBatch, rows: Sequence[Staged]) -> dict[int, Verdict]:
    stored = {
        issuer.reference: issuer for issuer in Issuer.objects.filter(reference__in=[row.reference for row in rows])
    }
    return {row.number: judge_row(row, stored.get(row.reference)) for row in rows}


def judge_row(row: Staged, stored: Issuer | None) -> Verdict:
    stated = stated_cells(row)
    errors, warnings = [], []

    def refuse(name: str, reason: str, **facts: Any) -> None:
        errors.append(RowError(row.number, name, reason % facts))

    if stated["country"] not in countries():
        refuse("country", gettext("“%(country)s” is no ISO code of a country, such as DE"), country=stated["country"])
    if stated.get("currency", "EUR") not in CURRENCIES:
        refuse(
            "currency", gettext("“%(currency)s” is no ISO code of a currency, such as EUR"), currency=stated["currency"]
        )
    if stated.get("time_zone", "UTC") not in available_timezones():
        refuse("time_zone", gettext("“%(zone)s” is no time zone, such as Europe/Berlin"), zone=stated["time_zone"])
    if stated.get("iban") and not iban.is_valid(stated["iban"]):
        refuse("iban", gettext("the check digits of the IBAN are wrong"))
    if stated.get("bic") and not bic.is_valid(stated["bic"]):
        refuse("bic", gettext("“%(bic)s” is no BIC"), bic=stated["bic"])
    cells = {**(stored_cells(stored) if stored else {}), **stated}
    if not cells.get("vat_id") and not cells.get("tax_number"):
        refuse("vat_id", gettext("an issuer needs a VAT id or a tax number (§ 14 (4) no. 2 UStG)"))
    if stated.get("vat_id"):
        answer = vat_id.check(stated["vat_id"], stated["country"])
        if not answer.is_valid:
            warnings.append(RowError(row.number, "vat_id", answer.reason))
    if errors:
        return Verdict(import_rows.ERROR, errors=errors)
    if not stored:
        return Verdict(NEW, warnings=warnings)
    difference = import_rows.difference(stored_cells(stored), stated)
    return Verdict(CHANGED if difference else UNCHANGED, difference, warnings=warnings)


def write(batch: ImportBatch, rows: Sequence[tuple[Staged, Verdict]]) -> None:
    for row, verdict in rows:
        issuer = Issuer(reference=row.reference)
        if verdict.state == CHANGED:
            issuer = Issuer.objects.select_for_update().get(reference=row.reference)
        for name, value in stated_cells(row).items():
            setattr(issuer, name, value)
        issuer.save()


def stated_cells(row: Staged) -> dict[str, Any]:
    stated: dict[str, Any] = {name: value for name, value in row.values.items() if name != "issuer"}
    for name in DEFAULTED:
        if name in stated and stated[name] in ("", None):
            del stated[name]
    if "iban" in stated:
        stated["iban"] = stated["iban"].replace(" ", "")
    if "vat_id" in stated:
        stated["vat_id"] = vat_id.compact(stated["vat_id"])
    return stated


def stored_cells(issuer: Issuer) -> dict[str, Any]:
    return {column.name: getattr(issuer, column.name) for column in COLUMNS if column.name != "issuer"}


RECIPE = Recipe(kind=ImportBatch.Kind.ISSUERS, columns=COLUMNS, key="issuer", judge=judge, write=write)
