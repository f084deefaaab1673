"""The account tree: accounts are hung elsewhere, its numbers are compared with the parents they are made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _

from tenants.errors import OperatorError
from tenants.models import Tenant
from tenants.transactions import tree_lock
from tenants.tree_numbers import number_trees

QUERIES: Final = (
    (
        _("The tree has %(found)s roots instead of one."),
        """
        select min(reference) as account, count(*) filter (where parent_id is null) as found from tenants_tenant
         group by tree_id having count(*) filter (where parent_id is null) <> 1
        """,
    ),
    (
        _("The tree of %(accounts)s accounts is not numbered from 1 to %(last)s."),
        """
        select min(t.reference) as account, count(*) / 2 as accounts, count(*) as last
          from tenants_tenant t cross join unnest(array[t.lft, t.rght]) n
         group by t.tree_id having min(n) <> 1 or max(n) <> count(*) or count(distinct n) <> count(*)
        """,
    ),
    (
        _("It does not lie inside the numbers of its parent %(parent)s, one level below."),
        """
        select t.reference as account, p.reference as parent
          from tenants_tenant t join tenants_tenant p on p.id = t.parent_id
         where (t.tree_id, t.level) <> (p.tree_id, p.level + 1)
            or not (p.lft < t.lft and t.lft < t.rght and t.rght < p.rght)
        """,
    ),
    (
        _("It has no parent, and is not on level 0."),
        "select reference as account from tenants_tenant where parent_id is null and (level <> 0 or lft >= rght)",
    ),
    (
        _("Its numbers overlap those of another account of the same parent."),
        """
        select account from (
            select reference as account, lft, max(rght) over (
                       partition by parent_id order by lft, id
                       rows between unbounded preceding and 1 preceding) as before
              from tenants_tenant where parent_id is not null) s
         where before >= lft
        """,
    ),
)


WITHOUT_ROOT: Final = """
    with recursive reached(id) as (
        select id from tenants_tenant where parent_id is null
        union all select t.id from tenants_tenant t join reached r on t.parent_id = r.id)
    select reference from tenants_tenant where id not in (select id from reached) order by reference limit 20
"""


class NoRoot(OperatorError):
    """Accounts that are below themselves belong to no tree."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An account, or the first one of a tree, whose numbers are wrong."""

    account: str
    reason: str


def faults() -> Iterator[Fault]:
    """Every place where the numbers do not say what the parents say: per tree 1..2n, one root, nested, levels."""
    for reason, query in QUERIES:
        with connection.chunked_cursor() as cursor:
            cursor.execute(query)
            names: list[str] = []
            for row in cursor:
                names = names or [column.name for column in cursor.description]
                found = dict(zip(names, row, strict=True))
                yield Fault(found["account"], str(reason) % found)


@transaction.atomic
def hang(accounts: Iterable[Tenant], parent: Tenant | None) -> None:
    """Put accounts, each with all below it, last under ``parent``, or at the top; the tree is numbered anew once.

    The caller has looked whether they may stand there.
    """
    tree_lock()
    keys = [account.pk for account in accounts]
    if not keys:
        return
    left = list(Tenant.objects.filter(pk__in=keys).order_by().values_list("tree_id", flat=True).distinct())
    Tenant.objects.filter(pk__in=keys).update(parent=parent)
    number_trees([parent.pk] if parent else keys, left=sorted(left))


@transaction.atomic
def repair() -> None:
    """Number all trees anew from the parents, under the tree lock; children keep their order where it can be told.

    Raises ``NoRoot`` naming accounts that are, however far up, their own parents.
    """
    tree_lock()
    with connection.cursor() as cursor:
        cursor.execute(WITHOUT_ROOT)
        if circular := [row[0] for row in cursor.fetchall()]:
            raise NoRoot(
                _("These accounts are below themselves: %(accounts)s. Give one of them another parent, or none.")
                % {"accounts": ", ".join(circular)}
            )
        # what a root keeps must be its own: number_trees gives tree 0 a new one
        cursor.execute(
            """
            update tenants_tenant t set tree_id = 0, level = 0
              from (select id, row_number() over (partition by tree_id order by level, id) as place
                      from tenants_tenant where parent_id is null) r
             where r.id = t.id and (r.place > 1 or t.tree_id < 0 or t.level <> 0)
            """
        )
        cursor.execute("select id from tenants_tenant where parent_id is null")
        roots = [row[0] for row in cursor.fetchall()]
    number_trees(roots)
