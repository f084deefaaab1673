"""Take the account tree in from a file: parents and children in any order, all of it or nothing, twice nothing."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from typing import Any

from babel import Locale
from django.db import connection
from django.utils.translation import gettext
from moneyed import CURRENCIES
from stdnum.de import leitweg

from tenants import import_rows, vat_id
from tenants.cells import CellError, Choice, Text, Whole, shown
from tenants.import_rows import CHANGED, NEW, UNCHANGED, Recipe, Staged, Verdict, add_errors, insert
from tenants.models import ImportBatch, Issuer, Tenant, VatCheck
from tenants.tabular import RowError
from tenants.transactions import tree_lock
from tenants.tree_numbers import number_trees


class LeitwegId(Text):
    """The address of a public buyer, as KoSIT defines it: coarse part, fine part if any, two check digits."""

    def value(self, cell: str, decimal: str, dates: str) -> str:
        text = Text.value(self, cell, decimal, dates)
        if not leitweg.is_valid(text):
            raise CellError(
                gettext(
                    "“%(id)s” is no Leitweg-ID: its form or its check digits are wrong"
                    " (example: 04011000-1234512345-06)."
                )
                % {"id": shown(text)}
            )
        return text


EMAIL = r"[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s,;<>\"]+"
COLUMNS = (
    Text(name="tenant", required=True, max_length=60),
    Text(name="tenant_name", required=True, max_length=200),
    Choice(name="kind", choices=tuple(Tenant.Kind.values)),
    Text(name="parent", max_length=60),
    Text(name="contracting_party", max_length=60),
    Text(name="invoice_to", max_length=60),
    Text(name="pay_by", max_length=60),
    Text(name="street", max_length=200),
    Text(name="postcode", max_length=20),
    Text(name="city", max_length=100),
    Text(name="country", max_length=2, upper=True),
    Choice(name="language", choices=("de", "en")),
    Text(name="vat_id", max_length=20, upper=True),
    Text(name="email", max_length=254, pattern=EMAIL, example="rechnung@example.com"),
    Text(name="currency", max_length=3, upper=True),
    Whole(name="price_class", minimum=1, maximum=32767),
    Choice(name="collection", choices=tuple(Tenant.Collection.values)),
    Whole(name="payment_days", maximum=365),
    Text(name="project_code", max_length=60),
    Choice(name="document_format", choices=tuple(Tenant.DocumentFormat.values)),
    LeitwegId(name="leitweg_id", max_length=46),
    Choice(name="consolidation", choices=tuple(Tenant.Consolidation.values)),
    Whole(name="billing_day", minimum=1, maximum=31),
    Text(name="po_number", max_length=60),
)
PLAIN = {  # column -> field, for what is stored as it stands
    "tenant_name": "name",
    "kind": "kind",
    "street": "street",
    "postcode": "postcode",
    "city": "city",
    "country": "country",
    "language": "language",
    "vat_id": "vat_id",
    "email": "email",
    "currency": "currency",
    "price_class": "price_class",
    "collection": "collection",
    "payment_days": "payment_days",
    "project_code": "project_code",
    "document_format": "document_format",
    "leitweg_id": "leitweg_id",
    "consolidation": "consolidation",
    "billing_day": "billing_day",
    "po_number": "po_number",
}
REFERENCES = ("parent", "contracting_party", "invoice_to", "pay_by")
DEEPEST = 50
BAD_ROWS = """
insert into import_bad
    select reference, min(number), %s from tenants_importrow row
    where batch_id = %s and reference <> ''
        and not exists (select from tenants_tenant t where t.reference = row.reference)
    group by reference having bool_and(state = 'error')
    on conflict do nothing
"""


@dataclass(slots=True)
class Surroundings:
    """What a chunk's rows refer to: who exists, here or in the file, and who stands above whom once the file is in."""

    stored: dict[str, Tenant]
    known: set[str]
    above: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    circular: set[str] = field(default_factory=set)
    issuers: set[str] = field(default_factory=set)  # their countries


def judge(batch: ImportBatch, rows: Sequence[Staged]) -> dict[int, Verdict]:
    surroundings = read_surroundings(batch, rows)
    return {row.number: judge_row(row, surroundings) for row in rows}


def judge_row(row: Staged, around: Surroundings) -> Verdict:
    stored = around.stored.get(row.reference)
    stated = stated_cells(row)
    errors, warnings = [], []

    def refuse(name: str, reason: str, **facts: Any) -> None:
        errors.append(RowError(row.number, name, reason % facts))

    if row.reference in around.circular:
        refuse(
            "parent",
            gettext("the accounts stand above one another in a circle, or more than %(limit)d deep"),
            limit=DEEPEST,
        )
    else:
        for name in REFERENCES:
            reference = stated.get(name)
            if reference and reference not in around.known:
                refuse(name, gettext("there is no account “%(reference)s”"), reference=reference)
            elif reference and name != "parent" and reference not in around.above[row.reference]:
                refuse(
                    name, gettext("“%(reference)s” is neither the account itself nor one above it"), reference=reference
                )
    country, currency = stated.get("country", ""), stated.get("currency", "")
    if country and country not in countries():
        refuse("country", gettext("“%(country)s” is no ISO code of a country, such as DE"), country=country)
    if currency and currency not in CURRENCIES:
        refuse("currency", gettext("“%(currency)s” is no ISO code of a currency, such as EUR"), currency=currency)
    is_top = not stated["parent"] if "parent" in stated else not (stored and stored.parent_id)
    if is_top and not stated.get("country", stored.country if stored else ""):
        refuse("country", gettext("an account without a parent needs a country"))
    if errors:
        return Verdict(import_rows.ERROR, errors=errors)
    number = stated.get("vat_id", stored.vat_id if stored else "")
    if number:
        answer = vat_id.check(number, stated.get("country") or (stored.country if stored else ""))
        if not answer.is_valid and (not stored or "vat_id" in stated):
            reason = gettext("%(reason)s (%(vat_id)s); it counts as none") % {"reason": answer.reason, "vat_id": number}
            warnings.append(RowError(row.number, "vat_id", reason))
    elif _is_charged(stated, stored, around):
        warnings.append(RowError(row.number, "vat_id", gettext("EU customer without a VAT id: VAT is charged")))
    if not stored:
        return Verdict(NEW, warnings=warnings)
    difference = import_rows.difference(stored_cells(stored), stated)
    if "parent" in difference:
        warnings.append(RowError(row.number, "parent", gettext("the account moves within the tree, with all below it")))
    return Verdict(CHANGED if difference else UNCHANGED, difference, warnings=warnings)


def _is_charged(stated: dict[str, Any], stored: Tenant | None, around: Surroundings) -> bool:
    """Whether a row states a business in another member state than all issuers are in, without a VAT id."""
    if stored and not {"vat_id", "country"} & stated.keys():
        return False
    country = stated.get("country", stored.country if stored else "")
    is_consumer = stored is not None and stored.buys_as == Tenant.BuysAs.CONSUMER
    is_invoiced = not stated.get("invoice_to", stored.invoice_to_id if stored else "")
    is_abroad = bool(around.issuers) and country in vat_id.MEMBER_STATES - around.issuers
    return is_abroad and is_invoiced and not is_consumer


def refuse_orphans(batch: ImportBatch) -> None:
    """A row that needs a new account whose own row is in error cannot be taken either; and so on down the tree."""
    with connection.cursor() as cursor:
        cursor.execute(
            "drop table if exists import_bad;"
            " create temporary table import_bad (reference text primary key, number int, round int) on commit drop"
        )
        cursor.execute(
            BAD_ROWS,
            [0, batch.pk],
        )
        reason = gettext("the account “%(reference)s” in row %(row)d cannot be taken")
        for depth in count():
            if not cursor.rowcount:
                return
            cursor.execute("analyze import_bad")
            cursor.execute(
                "select row.number, name, bad.reference, bad.number from import_bad bad join"
                " (select number, name, cells ->> name as needed from tenants_importrow"
                " cross join unnest(%s::text[]) as name where batch_id = %s and state in ('new', 'changed')) as row"
                " on row.needed = bad.reference where bad.round = %s",
                [list(REFERENCES), batch.pk, depth],
            )
            add_errors(
                batch, [RowError(n, name, reason % {"reference": ref, "row": bad}) for n, name, ref, bad in cursor]
            )
            cursor.execute(
                BAD_ROWS,
                [depth + 1, batch.pk],
            )


def begin(batch: ImportBatch) -> None:
    """Hold the tree, set keys aside for the new accounts, and remember the trees that accounts move out of."""
    tree_lock()
    with connection.cursor() as cursor:
        cursor.execute(
            "drop table if exists import_key, import_moved;"
            " create temporary table import_key (reference text primary key, id bigint) on commit drop;"
            " create temporary table import_moved (id bigint, tree_id int) on commit drop"
        )
        cursor.execute(
            "insert into import_key select reference, nextval(pg_get_serial_sequence('tenants_tenant', 'id'))"
            " from (select reference from tenants_importrow where batch_id = %s and state = 'new' order by number) new",
            [batch.pk],
        )
        cursor.execute(
            "insert into import_moved select t.id, t.tree_id from tenants_tenant t join tenants_importrow row"
            " on row.reference = t.reference"
            " where row.batch_id = %s and row.state = 'changed' and row.difference ? 'parent'",
            [batch.pk],
        )


def lay_edges(batch: ImportBatch) -> None:
    """Who will stand below whom, for the file's rows and everyone above them: tables of this transaction."""
    with connection.cursor() as cursor:
        cursor.execute(
            "drop table if exists import_edge, import_above;"
            " create temporary table import_edge (reference text primary key, parent text, in_file bool)"
            " on commit drop;"
            " create temporary table import_above (reference text, ancestor text, distance int) on commit drop;"
        )
        cursor.execute(
            "insert into import_edge"
            " select row.reference, coalesce(case when row.cells ? 'parent' then nullif(row.cells ->> 'parent', '')"
            " else parent.reference end, ''), true"
            " from tenants_importrow row left join tenants_tenant t on t.reference = row.reference"
            " left join tenants_tenant parent on parent.id = t.parent_id"
            " where row.batch_id = %s and row.reference <> '' and row.state <> 'error' on conflict do nothing",
            [batch.pk],
        )
        while True:  # once per level above the file's own accounts
            cursor.execute(
                "insert into import_edge select t.reference, coalesce(parent.reference, ''), false"
                " from tenants_tenant t left join tenants_tenant parent on parent.id = t.parent_id"
                " where t.reference in (select parent from import_edge where parent <> '')"
                " on conflict do nothing"
            )
            if not cursor.rowcount:
                break
        cursor.execute("analyze import_edge")
        cursor.execute(
            "insert into import_above with recursive above(reference, ancestor, distance) as ("
            " select reference, parent, 1 from import_edge where in_file and parent <> ''"
            " union all select above.reference, edge.parent, distance + 1 from above"
            " join import_edge edge on edge.reference = above.ancestor"
            " where edge.parent <> '' and distance <= %s and above.ancestor <> above.reference)"
            " select reference, ancestor, distance from above",
            [DEEPEST],
        )
        cursor.execute("create index on import_above (reference); analyze import_above")


def write(batch: ImportBatch, rows: Sequence[tuple[Staged, Verdict]]) -> None:
    """Store the accounts of a chunk. A new one may come before the one above it: its key was set aside."""
    keys = read_keys([row for row, _verdict in rows])
    stored = {
        tenant.reference: tenant for tenant in Tenant.objects.filter(reference__in=[row.reference for row, _ in rows])
    }
    new, changed, checks = [], [], []
    for row, verdict in rows:
        tenant = stored.get(row.reference)
        if verdict.state == NEW:
            key = keys[row.reference]
            tenant = Tenant(pk=key, reference=row.reference, tree_id=0, lft=key, rght=key, level=0)  # see ``finish``
            new.append(tenant)
        else:
            assert tenant is not None
            changed.append(tenant)
        stated = stated_cells(row)
        before = (tenant.vat_id, tenant.country)
        for name, attribute in PLAIN.items():
            if name in stated and (stated[name] is not None or name in ("price_class", "payment_days", "billing_day")):
                setattr(tenant, attribute, stated[name])
            elif name in stated and name != "kind":
                setattr(tenant, attribute, "")
        for name in REFERENCES:
            if name in stated:
                setattr(tenant, f"{name}_id", keys[stated[name]] if stated[name] else None)
        if (tenant.vat_id, tenant.country) != before and (tenant.vat_id or before[0]):
            answer = vat_id.check(tenant.vat_id, tenant.country)
            tenant.vat_id_valid = answer.is_valid
            checks.append(
                VatCheck(
                    tenant_id=tenant.pk,
                    vat_id=tenant.vat_id,
                    method=VatCheck.Method.CHECK_DIGITS,
                    is_valid=answer.is_valid,
                    answer=answer.reason[:200],
                )
            )
    insert(Tenant, new)
    update_tenants(changed)
    insert(VatCheck, checks)


def update_tenants(tenants: Sequence[Tenant]) -> None:
    """Past ``save``: ``finish`` numbers the tree anew under the lock that ``begin`` took."""
    fields = [*PLAIN.values(), "vat_id_valid", *REFERENCES]
    for start in range(0, len(tenants), 200):
        Tenant._base_manager.bulk_update(tenants[start : start + 200], fields)


def finish(batch: ImportBatch) -> None:
    """Number the trees in which accounts are new or which moved accounts came to or left."""
    with connection.cursor() as cursor:
        cursor.execute("select id, tree_id from import_moved union all select id, 0 from import_key")
        touched = cursor.fetchall()
    number_trees([key for key, _tree in touched], left=list({tree for _key, tree in touched if tree}))


# --- what is stored and what is stated ---


@cache
def countries() -> frozenset[str]:
    return frozenset(code for code in map(str, Locale("en").territories) if len(code) == 2 and code.isalpha())


def stated_cells(row: Staged) -> dict[str, Any]:
    """The row's cells in the form in which accounts keep them. Referring to oneself is the same as an empty cell."""
    stated: dict[str, Any] = {name: value for name, value in row.values.items() if name != "tenant"}
    for name in ("contracting_party", "invoice_to", "pay_by"):
        if stated.get(name) == row.reference:
            stated[name] = ""
    if stated.get("vat_id"):
        stated["vat_id"] = vat_id.compact(stated["vat_id"])
    if "kind" in stated and not stated["kind"]:
        del stated["kind"]
    return stated


def stored_cells(tenant: Tenant) -> dict[str, Any]:
    cells = {name: getattr(tenant, attribute) for name, attribute in PLAIN.items()}
    for name in REFERENCES:
        other = getattr(tenant, name)
        cells[name] = other.reference if other else ""
    return cells


def references_of(rows: Iterable[Staged]) -> set[str]:
    return {str(row.values[name]) for row in rows for name in REFERENCES if row.values.get(name)}


def read_surroundings(batch: ImportBatch, rows: Sequence[Staged]) -> Surroundings:
    own = {row.reference for row in rows}
    stored = Tenant.objects.filter(reference__in=own).select_related(*REFERENCES)
    wanted = references_of(rows)
    known = set(Tenant.objects.filter(reference__in=wanted).order_by().values_list("reference", flat=True))
    if known < wanted:  # rows in error are found, too: what needs them says so (``refuse_orphans``)
        unknown = list(wanted - known)
        known |= set(batch.rows.filter(reference__in=unknown).order_by().values_list("reference", flat=True))
    around = Surroundings({tenant.reference: tenant for tenant in stored}, known)
    around.issuers = set(Issuer.objects.order_by().values_list("country", flat=True))
    with connection.cursor() as cursor:
        cursor.execute(
            "select reference, ancestor, distance from import_above where reference = any(%s) order by distance",
            [list(own)],
        )
        for reference, ancestor, distance in cursor.fetchall():
            around.above[reference].append(ancestor)
            if ancestor == reference or distance > DEEPEST:
                around.circular.add(reference)
    return around


def read_keys(rows: Iterable[Staged]) -> dict[str, int]:
    """The keys of the rows' accounts and of those they refer to, whether stored or still to be written."""
    wanted = list({row.reference for row in rows} | references_of(rows))
    with connection.cursor() as cursor:
        cursor.execute(
            "select reference, id from import_key where reference = any(%s)"
            " union all select reference, id from tenants_tenant where reference = any(%s)",
            [wanted, wanted],
        )
        return dict(cursor.fetchall())


RECIPE = Recipe(
    kind=ImportBatch.Kind.TENANTS,
    columns=COLUMNS,
    key="tenant",
    judge=judge,
    write=write,
    begin=begin,
    laid=lay_edges,
    judged=refuse_orphans,
    finish=finish,
    fills=(Tenant, VatCheck),
)
