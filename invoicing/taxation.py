"""How the supplies to an account are taxed: the issuer's rules, the countries' rates, and what is known of a VAT id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, TypeAlias

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext_lazy as _

from billing.charging import Proposed
from billing.kernel.charges import Kind, parted
from invoicing import former_vat
from invoicing.former_vat import Former
from invoicing.kernel.german_rules import STARTING_RULES
from invoicing.kernel.taxation import Buyer, Customer, Law, Percentage, Rule, Scheme, Treatment, buyer_of
from invoicing.kernel.vat import EU, Case
from invoicing.models import TaxRate, TaxRule
from invoicing.parties import RESTS_ON_THE_VAT_ID, Account, Accounts, NoVatRule, VatEvidence
from tenants.models import Issuer, Tenant, VatCheck

Taxed: TypeAlias = tuple[Proposed, Treatment]
ONE_DAY: Final = timedelta(days=1)
CONDITIONS: Final = ("tax_category", "customer", "place", "scheme", "starts_on", "ends_before")
RESULTS: Final = ("taxed_in", "rate_kind", "exemption_code", "notice_de", "notice_en", "law", "ledger_role")


def ensure_rules(issuer: Issuer) -> None:
    """Give an issuer that has no rules those of its country; those it has stay as staff left them."""
    if not TaxRule.objects.filter(issuer=issuer).exists():
        TaxRule.objects.bulk_create(
            [
                TaxRule(
                    issuer=issuer,
                    name=rule.name,
                    vat_case=rule.case.value,
                    **{name: getattr(rule, name) for name in (*CONDITIONS, *RESULTS)},
                )
                for rule in STARTING_RULES.get(issuer.country, ())
            ]
        )


def law_of(issuer: Issuer) -> Law:
    """The issuer's rules, or those it will start with, and all rates; two queries. Raises ``NoVatRule`` for none."""
    rules = [
        Rule(key=key, name=name, case=Case(case), **dict(zip((*CONDITIONS, *RESULTS), columns, strict=True)))
        for key, name, case, *columns in TaxRule.objects.filter(issuer=issuer)
        .order_by("id")
        .values_list("id", "name", "vat_case", *CONDITIONS, *RESULTS)
    ] or list(STARTING_RULES.get(issuer.country, ()))
    if not rules:
        raise NoVatRule(
            _("%(issuer)s: no VAT rules are known for an issuer in %(country)s. Enter its tax rules first.")
            % {"issuer": issuer.reference, "country": issuer.country}
        )
    schemes = {
        scheme.value
        for scheme, holds in ((Scheme.SMALL_BUSINESS, issuer.is_small_business), (Scheme.OSS, issuer.uses_oss))
        if holds
    }
    return Law(issuer.country, rules, rates_of_all(), frozenset(schemes))


def rates_of_all() -> list[Percentage]:
    """The rates of all countries."""
    rows = TaxRate.objects.order_by("id").values_list("country", "kind", "percent", "starts_on", "ends_before")
    return [Percentage(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Standing:
    """An account as VAT law sees it; ``unconfirmed`` is what it would be by a VAT id that VIES has not confirmed, and
    by which it is taxed only if the document waits for the answer.
    """

    buyer: Buyer
    is_unconfirmed: bool = False


def standing_of(issuer: Issuer, account: Account, check: VatEvidence | None, *, on: date) -> Standing:
    """Who buys; where VIES is asked and has not confirmed the VAT id lately, by the issuer's policy."""
    customer = _customer(account)
    is_unconfirmed = (
        customer is Customer.BUSINESS_WITH_ID
        and bool(settings.VIES_URL)
        and account.country != issuer.country
        and account.country in EU | {"MC", "GB"}
        and not is_confirmed(issuer, check, on=on)
    )
    if is_unconfirmed and issuer.without_confirmation == Issuer.WithoutConfirmation.CHARGE:
        customer, is_unconfirmed = _without_id(account), False
    elif issuer.without_confirmation == Issuer.WithoutConfirmation.ACCEPT:
        is_unconfirmed = False
    buyer = buyer_of(
        issuer.country,
        account.country,
        account.postcode,
        account.vat_id,
        customer=customer,
        home_is_eu=issuer.country in EU,
    )
    return Standing(buyer, is_unconfirmed)


def _customer(account: Account) -> Customer:
    if account.buys_as == Tenant.BuysAs.CONSUMER:
        return Customer.CONSUMER
    return Customer.BUSINESS_WITH_ID if account.vat_id and account.vat_id_valid else _without_id(account)


def _without_id(account: Account) -> Customer:
    is_public = account.buys_as == Tenant.BuysAs.PUBLIC
    return Customer.PUBLIC if is_public else Customer.BUSINESS_WITHOUT_ID


def is_confirmed(issuer: Issuer, check: VatEvidence | None, *, on: date) -> bool:
    """Whether VIES has confirmed the VAT id, at most as many days before ``on`` as the issuer's policy allows."""
    return (
        check is not None
        and check.is_valid
        and check.method == VatCheck.Method.VIES
        and on - date.fromisoformat(check.on) <= timedelta(days=issuer.vat_check_max_age_days)
    )


@dataclass(slots=True)
class Taxes:
    """What a chunk of documents needs to know of VAT."""

    issuer: Issuer
    law: Law
    on: date
    _standings: dict[int, Standing] = field(init=False, default_factory=dict)
    _treatments: dict[tuple[int, str, int], Treatment] = field(init=False, default_factory=dict)

    @classmethod
    def of(cls, issuer: Issuer, *, on: date) -> Taxes:
        """For documents of day ``on``. Raises ``NoVatRule``."""
        return cls(issuer, law_of(issuer), on)

    def standing(self, account: Account, facts: Accounts) -> Standing:
        found = self._standings.get(account.id)
        if found is None:
            check = facts.vat_checks.get(account.id)
            found = self._standings[account.id] = standing_of(self.issuer, account, check, on=self.on)
        return found

    def treatment(self, account: Account, facts: Accounts, tax_category: str, last_day: date) -> Treatment:
        """Raises ``NoVatRule`` naming the account."""
        key = (account.id, tax_category, self.law.stretch(last_day))
        found = self._treatments.get(key)
        if found is None:
            buyer = self.standing(account, facts).buyer
            try:
                found = self._treatments[key] = self.law.treatment(buyer, tax_category, last_day)
            except ValueError as error:
                raise _no_rule(account, error) from error
        return found

    def are_still(self, then: Former, account: Account, facts: Accounts, tax_category: str, last_day: date) -> bool:
        """Whether what is given back would be taxed today as its line was, so that it may stand among new fees."""
        standing = self.standing(account, facts)
        if standing.is_unconfirmed and then.treatment.rule.case in RESTS_ON_THE_VAT_ID:
            return False  # it need not wait for what was proved when the line arose
        try:
            return then.is_still(self.law.treatment(standing.buyer, tax_category, last_day))
        except ValueError:
            return False

    def waits(self, account: Account, facts: Accounts, treatments: Iterable[Treatment]) -> bool:
        """Whether the document would show no VAT because of a VAT id that VIES is still to confirm."""
        return self.standing(account, facts).is_unconfirmed and any(
            treatment.rule.case in RESTS_ON_THE_VAT_ID for treatment in treatments
        )

    def taxed(self, account: Account, facts: Accounts, tax_category: str, charge: Proposed) -> list[Taxed]:
        """A charge with its treatment; a fee in parts where its days are not all taxed alike: the rate is that of the
        day of supply. Raises ``NoVatRule`` naming the account.

        What is charged once, or not by days, is one supply, completed on its last day.
        """
        last_day = charge.due.period.last_day
        if self.law.stretch(charge.due.period.start) == self.law.stretch(last_day):
            return [(charge, self.treatment(account, facts, tax_category, last_day))]
        return [
            (part, self.treatment(account, facts, tax_category, part.due.period.last_day))
            for part in self._parts(account, facts, tax_category, charge)
        ]

    def _parts(self, account: Account, facts: Accounts, tax_category: str, charge: Proposed) -> list[Proposed]:
        due = charge.due
        if due.kind is not Kind.FEE or due.reverses is not None:
            return [charge]
        buyer = self.standing(account, facts).buyer
        try:
            cuts = self.law.cuts(buyer, tax_category, due.period.start, due.period.last_day)
        except ValueError as error:
            raise _no_rule(account, error) from error
        if not cuts:
            return [charge]
        return [replace(charge, due=one) for one in parted(charge.position.terms, due, cuts)]


def _no_rule(account: Account, error: ValueError) -> NoVatRule:
    return NoVatRule(_("%(account)s: %(reason)s.") % {"account": account.reference, "reason": error})


SUPPLIES: Final = """
    select distinct l.invoice_id, p.tax_category, l.ends_before, l.vat_rate
      from invoicing_line l
      join billing_charge c on c.id = l.charge_id
      join billing_item i on i.id = c.item_id
      join billing_product p on p.id = i.product_id
     where l.invoice_id = any(%s)
     order by l.invoice_id, p.tax_category, l.ends_before, l.vat_rate
"""


def supplies_of(invoices: Iterable[int]) -> dict[int, list[tuple[str, date, Decimal]]]:
    """By document: tax category, last day and rate of what its lines charge; corrections by hand charge nothing."""
    found: dict[int, list[tuple[str, date, Decimal]]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(SUPPLIES, [list(invoices)])
        for invoice, tax_category, ends_before, rate in cursor.fetchall():
            found[invoice].append((tax_category, ends_before - ONE_DAY, rate))
    return found


def by_rate(treatments: Iterable[Treatment]) -> dict[Decimal, Treatment]:
    """One treatment for each rate; where two rules give the same rate, the one whose name comes first."""
    found: dict[Decimal, Treatment] = {}
    for treatment in treatments:
        known = found.get(treatment.rate)
        if known is None or treatment.rule.name < known.rule.name:
            found[treatment.rate] = treatment
    return found


def evidence(treatments: dict[Decimal, Treatment], *, is_former: bool = False) -> dict[str, dict[str, Any]]:
    """The rules that hit, as a document keeps them: by rate, name and source in law; and whether they are those of
    what it corrects.
    """
    mark = {former_vat.MARK: True} if is_former else {}
    return {
        f"{rate.normalize():f}": {"rule": treatment.rule.name, "law": treatment.rule.law, **mark}
        for rate, treatment in treatments.items()
    }
