"""Take mandates in from a file, all of it or nothing. Neither the file nor its rows are kept: they hold IBANs.

What is kept is that it was taken in: by whom, the hash of the file, how many rows did what.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from hashlib import sha256
from io import BytesIO
from typing import Any, Final

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _
from stdnum import iban as ibans

from tenants import mandates, tabular
from tenants.cells import Choice, Day, Text
from tenants.errors import OperatorError
from tenants.import_rows import CHANGED, ERROR, NEW, UNCHANGED
from tenants.mandates import Bank
from tenants.models import ImportBatch, Issuer, Mandate, Tenant
from tenants.tabular import UNDECLARED, Declared, RowError

COLUMNS: Final = (
    Text(name="mandate", required=True, max_length=35),
    Text(name="tenant", required=True, max_length=60),
    Text(name="holder", required=True, max_length=70),
    Text(name="iban", required=True, max_length=42, upper=True),
    Text(name="bic", max_length=11, upper=True),
    Day(name="signed_on", required=True),
    Choice(name="scheme", choices=tuple(Mandate.Scheme.values)),
    Choice(name="sequence", choices=("recurring", "one_off")),
    Text(name="original_mandate", max_length=35),
    Text(name="original_creditor", max_length=35, upper=True),
)
FIXED: Final = ("tenant", "signed_on", "scheme", "sequence", "original_mandate", "original_creditor")
AT_ONCE: Final = 20_000


class RowsRefused(OperatorError):
    """Rows of the file cannot be taken, so nothing of it was."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one row does; ``told`` names its changes, bank accounts by their last four signs alone."""

    number: int
    reference: str
    state: str
    told: str = ""


@dataclass(slots=True)
class Taken:
    """What a file does, or did."""

    rows: list[Row] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)
    reading: str = ""
    unknown_columns: tuple[str, ...] = ()

    def count(self, state: str) -> int:
        return len(self.errors) if state == ERROR else sum(1 for row in self.rows if row.state == state)


def look(issuer: Issuer, content: bytes, *, on: date, declared: Declared = UNDECLARED) -> Taken:
    """What ``take_in`` would do with the file; nothing is written. Raises ``tabular.FileRefused``."""
    with transaction.atomic():
        taken = _take(issuer, content, on, declared, None)
        transaction.set_rollback(True)
    return taken


@transaction.atomic
def take_in(
    issuer: Issuer, content: bytes, *, file_name: str, on: date, declared: Declared = UNDECLARED, by: Any = None
) -> Taken:
    """Enter the mandates of a file and change bank accounts of those that are there; the same file again does nothing.

    Raises ``RowsRefused`` naming the first error, and ``tabular.FileRefused``.
    """
    taken = _take(issuer, content, on, declared, by)
    if taken.errors:
        raise RowsRefused(
            _("%(count)d rows are in error, so nothing was taken in. The first: %(error)s")
            % {"count": len(taken.errors), "error": taken.errors[0]}
        )
    ImportBatch.objects.create(
        kind=ImportBatch.Kind.MANDATES,
        issuer=issuer,
        file_name=file_name[:250],
        sha256=sha256(content).hexdigest(),
        reading={"unknown_columns": list(taken.unknown_columns)} | asdict(_proposed(content, declared).reading),
        state=ImportBatch.State.APPLIED,
        counts={"rows": len(taken.rows), **{state: taken.count(state) for state in (NEW, CHANGED, UNCHANGED, ERROR)}},
        created_by=by,
        applied_at=Now(),
    )
    return taken


def _proposed(content: bytes, declared: Declared) -> tabular.Proposal:
    return tabular.propose(BytesIO(content), COLUMNS, declared)


def _take(issuer: Issuer, content: bytes, on: date, declared: Declared, by: Any) -> Taken:
    proposal = _proposed(content, declared)
    if proposal.rows > AT_ONCE:
        raise RowsRefused(_("At most %(limit)d mandates are taken in at once.") % {"limit": AT_ONCE})
    taken = Taken(reading=proposal.reading.described(), unknown_columns=proposal.unknown_columns)
    rows = list(tabular.read(BytesIO(content), proposal.reading, COLUMNS))
    payers = _by_reference(Tenant, [row.values.get("tenant") for row in rows])
    known = {
        mandate.reference: mandate
        for mandate in Mandate.objects.filter(issuer=issuer).select_related("payer").prefetch_related("accounts")
    }
    seen: dict[str, int] = {}
    for row in rows:
        if row.errors:
            taken.errors += row.errors
            continue
        values = row.values
        reference = str(values["mandate"])
        if reference in seen:
            reason = _("stands in row %(row)d already") % {"row": seen[reference]}
            taken.errors.append(RowError(row.number, "mandate", reason))
            continue
        seen[reference] = row.number
        payer = payers.get(str(values["tenant"]))
        if payer is None:
            taken.errors.append(RowError(row.number, "tenant", _("there is no account of this reference")))
            continue
        try:
            with transaction.atomic():
                taken.rows.append(_do(issuer, payer, known.get(reference), row.number, values, on, by))
        except mandates.NotAMandate as refusal:
            taken.errors.append(RowError(row.number, "mandate", str(refusal)))
    return taken


def _do(
    issuer: Issuer,
    payer: Tenant,
    stored: Mandate | None,
    number: int,
    values: Mapping[str, Any],
    on: date,
    by: Any,
) -> Row:
    bank = Bank(str(values["holder"]), str(values["iban"]), str(values.get("bic") or ""))
    reference = str(values["mandate"])
    if stored is None:
        mandates.enter(
            issuer,
            payer,
            bank,
            reference=reference,
            signed_on=values["signed_on"],
            on=on,
            scheme=values.get("scheme") or Mandate.Scheme.CORE,
            is_one_off=values.get("sequence") == "one_off",
            original_reference=values.get("original_mandate") or "",
            original_creditor=values.get("original_creditor") or "",
            by=by,
        )
        told = f"{payer.reference}, {bank.holder}, …{ibans.compact(bank.iban)[-4:]}"
        return Row(number, reference, NEW, told)
    differing = [name for name, value in _fixed(stored) if _stated(values, name) not in (None, "", value)]
    if differing:
        raise mandates.NotAMandate(
            _("%(columns)s of a mandate cannot change: the payer signs a new one.") % {"columns": ", ".join(differing)}
        )
    latest = max(stored.accounts.all(), key=lambda account: account.number, default=None)
    if mandates.change_account(stored.pk, bank, by=by) is None:
        return Row(number, reference, UNCHANGED)
    before = f"…{latest.iban_tail} {latest.holder}" if latest else "–"
    return Row(number, reference, CHANGED, f"{before} → …{ibans.compact(bank.iban)[-4:]} {bank.holder}")


def _fixed(mandate: Mandate) -> Iterator[tuple[str, Any]]:
    values = (
        mandate.payer.reference,
        mandate.signed_on,
        mandate.scheme,
        "one_off" if mandate.is_one_off else "recurring",
        mandate.original_reference,
        mandate.original_creditor,
    )
    return zip(FIXED, values, strict=True)


def _stated(values: Mapping[str, Any], name: str) -> Any:
    return values.get(name)


def _by_reference(model: type[Tenant], references: Sequence[Any]) -> dict[str, Tenant]:
    return {one.reference: one for one in model.objects.filter(reference__in={str(r) for r in references if r})}
