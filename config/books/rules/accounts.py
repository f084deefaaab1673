"""What accounts name, and by whom they are invoiced."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from config.books.rules.rule import Rule

RULES: Final = (
    Rule(
        "named policies",
        _("account %(account)s"),
        _("It names the dunning policy “%(policy)s”, which no issuer has."),
        """
        select t.reference as account, t.dunning_policy as policy from tenants_tenant t
         where t.dunning_policy <> ''
           and not exists (select from payments_dunningpolicy p where p.name = t.dunning_policy)
        """,
    ),
)
