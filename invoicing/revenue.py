"""What was invoiced, net: by account, product, month or partner; each sum is that of the lines it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.db import connection
from django.db.models import QuerySet, TextChoices
from django.utils.translation import gettext_lazy as _

from billing.kernel.money import places_of, rounded
from billing.models import Subscription
from tenants.models import Tenant
from tenants.models.visibility import named_keys_of


class By(TextChoices):
    """What revenue is told by."""

    MONTH = "month", _("month")
    ACCOUNT = "account", _("account")
    PRODUCT = "product", _("product")
    PARTNER = "partner", _("partner")


KEYS: Final = {
    By.MONTH: ("to_char(i.issued_on, 'YYYY-MM')", "''"),
    By.ACCOUNT: ("t.reference", "t.name"),
    By.PRODUCT: ("d.reference", "case %(language)s when 'de' then d.name_de else d.name_en end"),
    By.PARTNER: ("coalesce(partner.reference, '')", "coalesce(partner.name, '')"),
}

# A partner is the contracting party of the account that uses the service, or of the nearest account above that has one.
LINES: Final = """
    from invoicing_invoice i
    join invoicing_line l on l.invoice_id = i.id
    left join invoicing_line corrected on corrected.id = l.corrects_id
    join billing_charge c on c.id = coalesce(l.charge_id, corrected.charge_id)
    join billing_item p on p.id = c.item_id
    join billing_product d on d.id = p.product_id
    join billing_subscription s on s.id = p.subscription_id
    join tenants_tenant t on t.id = s.tenant_id
"""
PARTNER: Final = """
    left join lateral (
        select r.reference, r.name from tenants_tenant a join tenants_tenant r on r.id = a.contracting_party_id
         where a.tree_id = t.tree_id and a.lft <= t.lft and a.rght >= t.rght order by a.level desc limit 1) partner
      on true
"""


@dataclass(frozen=True, slots=True)
class Revenue:
    """Net of the lines of one key and currency; ``documents`` they stand on, ``name`` as the reader knows it."""

    key: str
    name: str
    currency: str
    net: Decimal
    documents: int


def revenue(
    by: By,
    *,
    first: date,
    ends_before: date,
    under: Tenant | None = None,
    with_descendants: bool = True,
    among: QuerySet[Subscription] | None = None,
    language: str = "en",
) -> list[Revenue]:
    """Net of what was issued from ``first`` to the day before ``ends_before``, the largest first (months in order).

    ``under``: what this account and, ``with_descendants``, those below it use, whoever was invoiced; where they stand
    now. ``among``: the contracts whose lines count at all. Corrections count on the day of their own document. One
    query.
    """
    key, name = KEYS[by]
    scope = ""
    values: dict[str, Any] = {"first": first, "end": ends_before, "language": language}
    if under is not None and with_descendants:
        scope = "and t.tree_id = %(tree)s and t.lft >= %(left)s and t.rght <= %(right)s"
        values |= {"tree": under.tree_id, "left": under.lft, "right": under.rght}
    elif under is not None:
        scope = "and t.id = %(tenant)s"
        values |= {"tenant": under.pk}
    if among is not None:
        keys, seen = named_keys_of(among)
        scope += f" and s.id in ({keys})"
        values |= seen
    order = "1, 3" if by is By.MONTH else "4 desc, 1, 3"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            select {key}, {name}, i.currency, sum(l.net), count(distinct i.id)
              {LINES} {PARTNER if by is By.PARTNER else ""}
             where i.state = 'issued' and i.issued_on >= %(first)s and i.issued_on < %(end)s {scope}
             group by 1, 2, 3 order by {order}
            """,
            values,
        )
        return [
            Revenue(found, called, currency, rounded(net, places_of(currency)), documents)
            for found, called, currency, net, documents in cursor.fetchall()
        ]
