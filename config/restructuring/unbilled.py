"""What is still to be billed of an account: until then it cannot be closed, for runs skip what is closed."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal

from django.utils.translation import gettext

from billing import charging
from tenants.admin import figures
from tenants.models import Tenant


def unbilled(tenant: Tenant, on: date) -> str:
    """What a run through the day before ``on`` would still bill of its contracts, in words; empty: nothing."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for issuer in set(tenant.subscriptions.values_list("issuer_id", flat=True)):
        payers = {tenant.pay_by_id or tenant.pk}
        payers |= {key for key in tenant.subscriptions.values_list("pay_by_id", flat=True) if key is not None}
        for charge in charging.propose(issuer, sorted(payers), through=on - timedelta(days=1)).charges:
            if charge.position.contract.tenant == tenant.pk:
                sums[charge.position.contract.currency] += charge.due.net
    if not sums:
        return ""
    return gettext("%(sums)s net of %(account)s are still to be billed; it is closed once that is done.") % {
        "sums": ", ".join(figures.money(net, currency) for currency, net in sorted(sums.items())),
        "account": tenant.reference,
    }
