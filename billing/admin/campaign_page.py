"""What the page of a price campaign shows: whom it concerns, from which day, at which price, and the sums."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from django.urls import reverse
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from billing import campaigns
from billing.campaigns.reckoning import Figures, figures_of
from billing.kernel.legal_day import Rule, Step
from billing.models import Item, PriceCampaign, PriceChange, Product
from billing.models.catalog import Interval
from tenants.admin import figures

COLOURS = {
    PriceCampaign.State.DRAFT: "",
    PriceCampaign.State.ANNOUNCED: "info",
    PriceCampaign.State.APPLIED: "success",
    PriceCampaign.State.WITHDRAWN: "danger",
}
CHANGE_COLOURS = {
    PriceChange.State.PENDING: "info",
    PriceChange.State.CHANGED: "success",
    PriceChange.State.SKIPPED: "",
    PriceChange.State.PARKED: "danger",
    PriceChange.State.WITHDRAWN: "warning",
}


def page_of(campaign: PriceCampaign) -> str:
    return reverse("admin:billing_pricecampaign_change", args=[campaign.pk])


def badge_of(campaign: PriceCampaign) -> SafeString:
    return figures.badge(campaign.get_state_display(), COLOURS[PriceCampaign.State(campaign.state)])


def rule_of(campaign: PriceCampaign) -> str:
    """ "+3 %", "+0,50 € per unit or period", "price of the list"."""
    if campaign.percent is not None:
        return f"{campaign.percent:+f}".rstrip("0").rstrip(".").replace(".", decimal_mark()) + "\N{NO-BREAK SPACE}%"
    if campaign.amount is not None:
        sign = "+" if campaign.amount > 0 else ""
        return gettext("%(amount)s per unit or period") % {
            "amount": sign + figures.unit_price(campaign.amount, campaign.currency)
        }
    return str(campaign.new_price or PriceCampaign.Rule.LIST.label)


def decimal_mark() -> str:
    return "," if get_language() == "de" else "."


def selection_of(campaign: PriceCampaign) -> list[tuple[Any, Any]]:
    """What narrows the choice of contracts."""
    chosen = [
        (_("product"), campaign.product),
        (_("price"), campaign.price),
        (_("price class"), campaign.price_class),
        (_("currency"), campaign.currency),
        (_("account"), campaign.tenant),
        (_("contracts from"), campaign.starts_from and figures.day(campaign.starts_from)),
        (_("contracts before"), campaign.starts_before and figures.day(campaign.starts_before)),
    ]
    return [(name, value) for name, value in chosen if value]


def progress_text(progress: campaigns.Progress) -> str:
    return gettext("%(done)s of %(total)s positions") % {
        "done": figures.number(progress.total - progress.pending),
        "total": figures.number(progress.total),
    }


def row_of(position: campaigns.Position) -> dict[str, Any]:
    """A position of a preview as the page shows it."""
    return {
        "tenant": position.tenant,
        "account": position.account,
        "subscription": position.subscription,
        "contract": position.contract,
        "line": position.line,
        "product": position.product,
        "quantity": figures.number(position.quantity),
        "currency": position.currency,
        "effective_on": position.effective_on,
        "why": campaigns.why(position.steps),
        "prices": prices_of(figures_of(position.terms_before), figures_of(position.terms_after), position.currency),
        "before": position.mrr_before,
        "after": position.mrr_after,
        "changes": position.changes,
        "reason": position.reason,
        "state": "",
    }


def stored_rows(campaign: PriceCampaign) -> Iterable[dict[str, Any]]:
    """The same of what was laid down."""
    rows = campaign.changes.select_related("subscription__tenant", "price_before").order_by(
        "subscription__tenant__tree_id", "subscription__tenant__lft", "subscription__reference", "line"
    )
    for row in rows:
        state = PriceChange.State(row.state)
        yield {
            "tenant": row.subscription.tenant_id,
            "account": str(row.subscription.tenant),
            "subscription": row.subscription_id,
            "contract": row.subscription.reference,
            "line": row.line,
            "product": row.price_before.product_id,
            "quantity": figures.number(row.quantity),
            "currency": row.currency,
            "effective_on": row.effective_on,
            "why": campaigns.why([Step(Rule(rule), date.fromisoformat(day)) for rule, day in row.days]),
            "prices": prices_of(row.tiers_before, row.tiers_after, row.currency),
            "before": row.mrr_before.amount,
            "after": row.mrr_after.amount,
            "changes": state in (PriceChange.State.PENDING, PriceChange.State.CHANGED),
            "reason": row.reason,
            "state": figures.badge(state.label, CHANGE_COLOURS[state]),
        }


def prices_of(before: Figures, after: Figures, currency: str) -> list[tuple[str, str, str]]:
    """The figures that change: up to which quantity, before, afterwards."""
    return [
        (
            gettext("up to %(quantity)s") % {"quantity": figures.number(Decimal(new[0]))} if new[0] else "",
            figures.unit_price(Decimal(old[at]), currency),
            figures.unit_price(Decimal(new[at]), currency),
        )
        for old, new in zip(before, after, strict=False)
        for at in (1, 2)
        if old[at] != new[at]
    ]


def grouped(rows: Iterable[dict[str, Any]], name: str) -> dict[Any, list[dict[str, Any]]]:
    found: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row[name]].append(row)
    return dict(found)


def by_account(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A block per account: its positions, and the sums of each currency."""
    return [
        {
            "tenant": tenant,
            "account": own[0]["account"],
            "rows": own,
            "sums": [sums_of(currency, part) for currency, part in grouped(own, "currency").items()],
        }
        for tenant, own in grouped(rows, "tenant").items()
    ]


def sums_of(currency: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    before, after = (sum((row[name] for row in rows), Decimal(0)) for name in ("before", "after"))
    return {
        "currency": currency,
        "before": figures.money(before, currency),
        "after": figures.money(after, currency),
        "difference": figures.money_cell(after - before, currency),
    }


def currency_block(currency: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Totals of a currency, and how the difference builds up by the months in which prices change."""
    by_month: dict[date, Decimal] = defaultdict(Decimal)
    for row in rows:
        by_month[row["effective_on"].replace(day=1)] += row["after"] - row["before"]
    reached, steps = Decimal(0), []
    for month, change in sorted(by_month.items()):
        reached += change
        steps.append((month, reached))
    highest = max((abs(value) for _month, value in steps), default=Decimal(0)) or Decimal(1)
    return {
        **sums_of(currency, rows),
        "total": figures.money(reached, currency),
        "positions": len(rows),
        "contracts": len({row["subscription"] for row in rows}),
        "accounts": len({row["tenant"] for row in rows}),
        "months": [
            {
                "label": date_format(month, "M y"),
                "amount": figures.money(value, currency),
                "height": int(abs(value) * 100 / highest),
            }
            for month, value in steps[-24:]
        ],
    }


def named(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    named_rows([row for block in blocks for row in block["rows"]])
    return blocks


def named_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of a page with the names of their products, their figures and their links, in place."""
    german = get_language() == "de"
    products = Product.objects.in_bulk({row["product"] for row in rows})
    items = Item.objects.filter(subscription__in={row["subscription"] for row in rows}).order_by("starts_on")
    intervals = {(key, line): word for key, line, word in items.values_list("subscription", "line", "interval")}
    for row in rows:
        product = products[row["product"]]
        row["product_name"] = product.name_de if german else product.name_en
        row["interval"] = Interval(intervals[row["subscription"], row["line"]]).label
        row["url"] = reverse("admin:billing_subscription_change", args=[row["subscription"]])
        row["day"] = figures.day(row["effective_on"])
        row |= {
            "before_shown": figures.money(row["before"], row["currency"]),
            "after_shown": figures.money(row["after"], row["currency"]),
            "difference": figures.money_cell(row["after"] - row["before"], row["currency"]),
        }
    return rows
