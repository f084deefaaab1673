"""Who is invoiced for a contract and who pays for it, where that is not as its account says."""

from __future__ import annotations

from datetime import date

from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy as _

from billing import operators
from billing.contracts.writing import Change, changing
from billing.models import Amendment, Subscription
from tenants.models import Tenant


def assign(
    subscription: Subscription,
    *,
    invoice_to: Tenant | None = None,
    pay_by: Tenant | None = None,
    as_account: bool = False,
    on: date,
    reason: str,
    by: User | None,
    channel: str,
) -> Amendment:
    """Name the recipient, the payer or both; ``as_account`` takes back what was named before.

    Either is the contract's account or one above it. It holds for what is issued from now on; documents that were
    issued stay where they are, and drafts have to be computed again.
    """
    named = [account.pk for account in (invoice_to, pay_by) if account is not None]
    with changing(subscription, reason=reason, by=by, channel=channel, tenants=named) as change:
        fresh = change.subscription
        for account in (invoice_to, pay_by):
            if account is not None:
                _refuse_strangers(change, account)
        if as_account:
            fresh.invoice_to = fresh.pay_by = None
        elif not named:
            raise change.refuse(_("name who is invoiced or who pays."))
        fresh.invoice_to = invoice_to or fresh.invoice_to
        fresh.pay_by = pay_by or fresh.pay_by
        fresh.save(update_fields=["invoice_to", "pay_by"])
        operators.refuse(fresh)
        data = {
            "invoice_to": fresh.invoice_to.reference if fresh.invoice_to else None,
            "pay_by": fresh.pay_by.reference if fresh.pay_by else None,
        }
        return change.write(Amendment.Kind.RESPONSIBILITY, max(on, fresh.starts_on), data)


def _refuse_strangers(change: Change, account: Tenant) -> None:
    own = Tenant.objects.get(pk=change.subscription.tenant_id)
    if not own.is_descendant_of(account, include_self=True):
        raise change.refuse(_("%(account)s is neither its account nor one above that."), account=account.reference)
