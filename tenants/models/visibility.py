"""Who sees which records: the one place that decides. Screens, forms, files and the portal start from ``visible_to``.

Rights are read from the tables whenever something is asked for, and the tree from ``parent``: a change holds at once,
and damaged tree numbers show nobody anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Final, TypeVar

from django.db import models
from django.db.models import Q
from django.db.models.expressions import RawSQL

AnyRow = TypeVar("AnyRow", bound=models.Model)

NOTHING: Final = Q(pk__in=[])
EVERYTHING: Final = Q()
ANY_RIGHT: Final = "any"

GRANTED: Final = """
    with recursive granted (id, goes_on) as (
        select a.tenant_id, a.with_descendants from tenants_access a where a.user_id = %s and {right}
        union
        select t.id, true from tenants_tenant t join granted g on t.parent_id = g.id where g.goes_on
    )
    select id from granted
"""
IN_SCOPE: Final = """
    with recursive scoped (id) as (
        select s.tenant_id from tenants_staffscope s where s.user_id = %s and s.tenant_id is not null
        union
        select t.id from tenants_tenant t join scoped s on t.parent_id = s.id
    )
    select id from scoped
"""
ISSUERS_IN_SCOPE: Final = "select issuer_id from tenants_staffscope where user_id = %s and issuer_id is not null"

_customers_of_issuers: list[str] = []


def customers_of_issuers(query: str) -> None:
    """Let ``query`` name accounts that deal with an issuer; ``{issuers}`` stands for the issuers in question.

    The apps above know these records; staff bounded to an issuer see the accounts, their contacts and their messages.
    """
    _customers_of_issuers.append(query)


@dataclass(frozen=True, slots=True)
class Visibility:
    """How a record belongs to accounts and issuers, and by which right of ``Access`` a customer sees it.

    ``accounts`` and ``issuers`` are lookups of foreign keys; each suffices. ``through`` names foreign keys to records
    whose own visibility suffices, too. ``shared`` records (the catalog) are seen by all staff, and changed only by
    staff without bounds. Without ``right`` no customer ever sees any; ``shown`` is what they see of them at most.
    """

    accounts: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    through: tuple[str, ...] = ()
    right: str = ""
    shown: Q = EVERYTHING
    shared: bool = False


class VisibleTo:
    """Gives a QuerySet ``visible_to``; its model states a ``Visibility``."""

    def visible_to(self, user: Any) -> Any:
        """The rows that ``user`` may see; none for somebody who is not signed in or set inactive."""
        return self.filter(visibility(self.model, user))  # type: ignore[attr-defined]


class VisibleQuerySet(VisibleTo, models.QuerySet[AnyRow]):
    """Rows of a record with no questions of its own."""


def visibility(model: type[models.Model], user: Any) -> Q:
    """The condition on rows of ``model`` for ``user``. Records of other packages are for staff without bounds."""
    if not (user.is_authenticated and user.is_active):
        return NOTHING
    rule: Visibility = getattr(model, "visibility", Visibility())
    if not user.is_staff:
        return _of_customer(model, rule, user)
    return _of_staff(model, rule, user) if is_bounded(user) else EVERYTHING


def keys_of(rows: models.QuerySet[Any]) -> tuple[str, tuple[Any, ...]]:
    """A query for the keys of ``rows``, and its parameters: for questions that are put in SQL."""
    query, parameters = rows.order_by().values("pk").query.sql_with_params()
    return query, tuple(parameters)


def named_keys_of(rows: models.QuerySet[Any]) -> tuple[str, dict[str, Any]]:
    """As ``keys_of``, with parameters by name."""
    query, parameters = keys_of(rows)
    named = {f"seen_{n}": parameter for n, parameter in enumerate(parameters)}
    return query % tuple(f"%({name})s" for name in named), named


def whole_issuers(user: Any) -> Q:
    """The condition on issuers all of whose records a member of staff sees: each, or those that bounds name.

    A report that an issuer answers for (VAT, number ranges) is told of these alone: a part of it would mislead.
    """
    return Q(pk__in=RawSQL(ISSUERS_IN_SCOPE, [user.pk])) if is_bounded(user) else EVERYTHING


def is_bounded(user: Any) -> bool:
    """Whether a member of staff sees a part only. Asked once for each user that a request loads."""
    if user.is_superuser:
        return False
    if not hasattr(user, "_is_bounded"):
        user._is_bounded = user.staff_scopes.exists()
    return bool(user._is_bounded)


def accounts_granted(user: Any, right: str) -> RawSQL:
    """Keys of the accounts where a customer's user has ``right`` of ``Access``, or any of them."""
    condition = "true" if right == ANY_RIGHT else f'a."{right}"'
    return RawSQL(GRANTED.format(right=condition), [user.pk])


def _of_customer(model: type[models.Model], rule: Visibility, user: Any) -> Q:
    if not rule.right:
        return NOTHING
    granted = [Q(**{f"{path}__in": accounts_granted(user, rule.right)}) for path in rule.accounts]
    return reduce(or_, [*granted, *_through(model, rule, user)], NOTHING) & rule.shown


def _of_staff(model: type[models.Model], rule: Visibility, user: Any) -> Q:
    if rule.shared:
        others = Q(**{f"{rule.through[0]}__isnull": True}) if rule.through else EVERYTHING
        return reduce(or_, _through(model, rule, user), others) if rule.through else others
    paths = [Q(**{f"{path}__in": RawSQL(IN_SCOPE, [user.pk])}) for path in rule.accounts]
    paths += [Q(**{f"{path}__in": RawSQL(ISSUERS_IN_SCOPE, [user.pk])}) for path in rule.issuers]
    if rule.accounts and not rule.issuers:
        for query in _customers_of_issuers:
            keys = RawSQL(query.format(issuers=ISSUERS_IN_SCOPE), [user.pk] * query.count("{issuers}"))
            paths += [Q(**{f"{path}__in": keys}) for path in rule.accounts]
    return reduce(or_, [*paths, *_through(model, rule, user)], NOTHING)


def _through(model: type[models.Model], rule: Visibility, user: Any) -> list[Q]:
    owners: list[tuple[str, Any]] = [(path, model._meta.get_field(path).related_model) for path in rule.through]
    return [
        Q(**{f"{path}__in": owner.objects.filter(visibility(owner, user)).order_by().values("pk")})
        for path, owner in owners
    ]
