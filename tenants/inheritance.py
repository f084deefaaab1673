"""Change what an account passes on to those below it: whom it reaches is told before it is done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from tenants.errors import OperatorError
from tenants.models import Issuer, Tenant
from tenants.responsibility import INHERITED, in_force
from tenants.transactions import acting, tree_lock


class Overtaken(OperatorError):
    """Since the effect of a change was shown, somebody changed what it rests on."""


@dataclass(frozen=True, slots=True)
class SettingChange:
    """One setting of one account that will be another one; an issuer's or the product's value may be behind either."""

    account: Tenant
    name: str
    before: Any
    after: Any


def effects(tenant: Tenant, values: Mapping[str, Any], issuer: Issuer | None) -> list[SettingChange]:
    """What is in force otherwise, at ``tenant`` and below, once it has ``values`` as its own; in tree order.

    An empty value resets: the account inherits again. Two queries however large the tree is.
    """
    unknown = values.keys() - set(INHERITED)
    if unknown:
        raise ValueError(f"not inherited: {unknown}")
    above = list(tenant.get_ancestors(ascending=True))
    below = list(Tenant.objects.under(tenant).order_by("lft"))
    now = {account.pk: account for account in below}
    found = []
    changed: dict[tuple[int, str], tuple[Any, Any]] = {}
    for account in below:
        for name, value in values.items():
            if account.pk == tenant.pk:
                line = [account, *above]
                own = in_force(name, line, issuer)
                told = own if value == getattr(account, name) else _with(name, value, above, issuer)
                changed[account.pk, name] = own, told
            elif _is_own(getattr(account, name)):
                changed[account.pk, name] = getattr(account, name), getattr(account, name)
            else:
                changed[account.pk, name] = changed[now[account.pk].parent_id or 0, name]
            before, after = changed[account.pk, name]
            if before != after:
                found.append(SettingChange(account, name, before, after))
    return found


def seal(found: list[SettingChange]) -> str:
    """A short hash of effects as they were shown."""
    told = [(effect.account.reference, effect.name, str(effect.before), str(effect.after)) for effect in found]
    return sha256(json.dumps(told).encode()).hexdigest()[:20]


def change(tenant: Tenant, values: Mapping[str, Any], *, issuer: Issuer | None, seen: str, by: User | None) -> int:
    """Store ``values`` as the account's own; returns how many accounts are affected.

    ``seen`` is the seal of the effects that a person looked at. Raises ``Overtaken`` if they are other ones by now.
    """
    with acting(actor=by.get_username() if by else "", channel="admin"):
        tree_lock()
        fresh = Tenant.objects.get(pk=tenant.pk)
        found = effects(fresh, values, issuer)
        if seal(found) != seen:
            raise Overtaken(
                _("%(account)s: somebody changed these settings meanwhile. Nothing was saved; look again.")
                % {"account": fresh.reference}
            )
        for name, value in values.items():
            setattr(fresh, name, value)
        fresh.save(update_fields=list(values))
        return len({effect.account.pk for effect in found})


def _is_own(value: Any) -> bool:
    return value is not None and value != ""


def _with(name: str, value: Any, above: list[Tenant], issuer: Issuer | None) -> Any:
    return value if _is_own(value) else in_force(name, above, issuer)
