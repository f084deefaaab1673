"""Changes of the account tree by their day: previewed, planned, made by hand or by the night, withdrawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from billing import operators
from billing.models import Subscription
from config.restructuring import closing, merging, moving
from config.restructuring.effects import Effect, refused
from tenants.errors import OperatorError
from tenants.models import Tenant, TreeChange
from tenants.transactions import acting, rehearsal, tree_lock

RIGHT: Final = "tenants.restructure_tenant"
OPTIONS: dict[str, dict[str, Any]] = {
    TreeChange.Kind.MOVE: {"follows": True, "takes_over": False},
    TreeChange.Kind.MERGE: {"takes_over": True},
    TreeChange.Kind.SPLIT: {"reference": "", "name": "", "contracts": [], "children": []},
    TreeChange.Kind.CLOSE: {
        "ends_contracts": False,
        "discards_drafts": False,
        "keeps_items": False,
        "lifts_children": False,
    },
}


class PlannerLacksRights(OperatorError):
    """Whoever planned a change of the account tree may not make it any more."""


def preview(
    kind: str, tenant: Tenant, target: Tenant | None, options: Mapping[str, Any], *, on: date, by: User | None = None
) -> Effect:
    """What the change would do if it were made now: the real one, undone. Raises what it raises."""
    with rehearsal():
        change = TreeChange(kind=kind, tenant=tenant, target=target, options=_complete(kind, options), effective_on=on)
        return _make(change, by=by, channel="admin")


def plan(
    kind: str,
    tenant: Tenant,
    target: Tenant | None,
    options: Mapping[str, Any],
    *,
    on: date,
    reason: str,
    by: User | None,
    channel: str,
) -> TreeChange:
    """Write the change down for ``on``; it is made by ``carry_out``. Raises ``RestructuringRefused``."""
    who = by.get_username() if by else ""
    with acting(actor=who, channel=channel, reason=reason):
        try:
            with transaction.atomic():
                return TreeChange.objects.create(
                    kind=kind,
                    tenant=tenant,
                    target=target,
                    effective_on=on,
                    options=_complete(kind, options),
                    reason=reason,
                    decided_by=who,
                )
        except IntegrityError as error:
            raise refused(
                _("The same change of %(account)s is planned already; withdraw it first."), account=tenant.reference
            ) from error


def carry_out(change: TreeChange, *, by: User | None, channel: str) -> Effect:
    """Make a planned change; one that was made already, or withdrawn, does nothing.

    Where the account has to wait (``Effect.waits_for``), it stays planned and is tried again by the night. Whoever
    makes it answers for it: ``by``, or the one who planned it, who must still have the right to. Raises
    ``PlannerLacksRights`` and what the change raises; then nothing is changed.
    """
    with acting(actor=by.get_username() if by else change.decided_by, channel=channel, reason=change.reason):
        tree_lock()
        locked = TreeChange.objects.select_for_update(of=("self",)).select_related("tenant", "target")
        fresh = locked.get(pk=change.pk)
        if fresh.state != TreeChange.State.PLANNED:
            return Effect()
        if by is None:
            refuse_without_rights(fresh)
        effect = _make(fresh, by=by, channel=channel)
        fresh.refusal, fresh.outcome = effect.waits_for, _together(fresh.outcome, effect.facts())
        if not effect.waits_for:
            fresh.state, fresh.done_at = TreeChange.State.DONE, Now()
        fresh.save()
        return effect


def refuse_without_rights(change: TreeChange) -> None:
    """Raises ``PlannerLacksRights``: rights are those of the day on which it is made. A command needs none."""
    if not change.decided_by:
        return
    planner = User.objects.filter(username=change.decided_by).first()
    if planner is not None and planner.is_active and planner.is_staff and planner.has_perm(RIGHT):
        accounts = {change.tenant_id, change.target_id} - {None}
        if Tenant.objects.visible_to(planner).filter(pk__in=accounts).count() == len(accounts):
            return
    raise PlannerLacksRights(
        _(
            "%(who)s planned this and has no right to it any more: somebody who has makes it on the page of"
            " %(account)s, or withdraws it."
        )
        % {"who": change.decided_by, "account": change.tenant.reference}
    )


def _together(before: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """What a change has done that had to wait: what it did then, and what it did now."""
    return {name: before[name] + done if name in before else done for name, done in facts.items()}


@dataclass(slots=True)
class CarriedOut:
    """What a night made of the plans: how many were made, and why others could not be."""

    done: int = 0
    refused: list[str] = field(default_factory=list)


def carry_out_due(*, on: date) -> CarriedOut:
    """Make all changes planned for ``on`` or earlier, each by itself; what is refused keeps the reason and its plan."""
    found = CarriedOut()
    for change in TreeChange.objects.due(on):
        try:
            effect = carry_out(change, by=None, channel="schedule")
        except OperatorError as refusal:
            TreeChange.objects.planned().filter(pk=change.pk).update(refusal=str(refusal))
            found.refused.append(str(refusal))
        else:
            if effect.waits_for:
                found.refused.append(effect.waits_for)
            else:
                found.done += 1
    return found


def withdraw(change: TreeChange, *, reason: str, by: User | None, channel: str) -> bool:
    """Give a planned change up; says whether there was anything to give up."""
    with acting(actor=by.get_username() if by else "", channel=channel, reason=reason):
        return bool(TreeChange.objects.planned().filter(pk=change.pk).update(state=TreeChange.State.WITHDRAWN))


def _complete(kind: str, options: Mapping[str, Any]) -> dict[str, Any]:
    known = OPTIONS[TreeChange.Kind(kind)]
    return {name: options.get(name, default) for name, default in known.items()}


def _make(change: TreeChange, *, by: User | None, channel: str) -> Effect:
    """Make it, unless a contract came out from under the operator of its issuer."""
    keys = list(Tenant.objects.under(Tenant.objects.get(pk=change.tenant_id)).values_list("pk", flat=True))
    affected = Subscription.objects.filter(tenant__in=keys)
    before = operators.violations(affected, on=change.effective_on)
    effect = _made(change, by=by, channel=channel)
    operators.refuse_new(before, operators.violations(affected, on=change.effective_on))
    return effect


def _made(change: TreeChange, *, by: User | None, channel: str) -> Effect:
    options, on = change.options, change.effective_on
    author: dict[str, Any] = {"reason": change.reason, "by": by, "channel": channel}
    if change.kind == TreeChange.Kind.MOVE:
        return moving.move(
            change.tenant, change.target, follows=options["follows"], takes_over=options["takes_over"], on=on
        )
    if change.kind == TreeChange.Kind.MERGE:
        assert change.target is not None
        return merging.merge(change.tenant, change.target, takes_over=options["takes_over"], on=on, **author)
    if change.kind == TreeChange.Kind.SPLIT:
        new, effect = merging.split(
            change.tenant,
            reference=options["reference"],
            name=options["name"],
            contracts_moved=options["contracts"],
            children=options["children"],
            on=on,
            **author,
        )
        change.target = new
        return effect
    return closing.close(change.tenant, heir=change.target, **options, on=on, **author)
