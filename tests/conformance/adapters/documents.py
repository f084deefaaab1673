"""Kinds about documents: discounts, VAT, totals, credit notes, several accounts on one invoice, reminders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.kernel.changes import ended
from billing.kernel.charges import ItemTerms, Kind, share_of
from billing.kernel.discounts import DiscountKind, DiscountTerms
from billing.kernel.money import rounded
from billing.kernel.period import Period
from billing.kernel.pricing import flat
from billing.kernel.schedule import Grid, Interval, Schedule, Unit
from invoicing.kernel.allowances import Allowance, DocumentDiscount, allowances
from invoicing.kernel.credits import Credit, Creditable, amount_due, credit, creditable, offset, refundable
from invoicing.kernel.german_rules import STARTING_RULES
from invoicing.kernel.taxation import Customer, buyer_of, choose
from invoicing.kernel.totals import (
    LineAllowance,
    Share,
    average_rate,
    contained_vat,
    line_net,
    total_of,
    totals,
    vat_of,
)
from invoicing.kernel.vat import Case as Vat
from payments.kernel.reminders import Item, Level, decide
from tests.conformance.adapters.booking import Books, net_of, taxed
from tests.conformance.adapters.proration import FAR
from tests.conformance.adapters.words import interval, item, places, range_of
from tests.conformance.reading import Case, Given, NotSupported, as_decimal
from tests.conformance.running import kind

NONE = Decimal(0)


def coupons(given: Given, ids: Sequence[str] = ()) -> list[DocumentDiscount]:
    """The coupons of a case, taken in its order; of a fixed one the rest is kept."""
    found = []
    for number, one in enumerate(given.children_of("coupons")):
        type_ = one.text("type", "percent" if "percent" in one else "fixed")
        applies_to = (
            [ids.index(line) for line in one.values("applies_to") if line in ids] if "applies_to" in one else None
        )
        if type_ == "percent":
            found.append(DocumentDiscount(DiscountKind.PERCENT, one.number("percent"), number, applies_to=applies_to))
        elif type_ == "fixed":
            found.append(
                DocumentDiscount(
                    DiscountKind.FIXED,
                    one.number("amount"),
                    number,
                    one.number("used", NONE),
                    carry_remainder=True,
                    applies_to=applies_to,
                )
            )
        else:
            raise NotSupported(f"{one.path}.type: {type_!r} is not known")
    return found


@kind("coupon")
def coupon(case: Case) -> dict[str, Any]:
    if "items" in case.given:
        return _coupon_on_items(case)
    if "invoices" in case.given:
        return _coupon_on_invoices(case)
    lines = case.given.children_of("lines")
    nets = [line.number("net") for line in lines]
    taken = allowances(nets, coupons(case.given, [line.text("id", "") for line in lines]), places(case))
    return _after(case, nets, [_rate(line) for line in lines], taken)


def _rate(line: Given) -> Decimal:
    return line.number("tax_rate", NONE)


def _after(case: Case, nets: Sequence[Decimal], rates: Sequence[Decimal], taken: Sequence[Allowance]) -> dict[str, Any]:
    """Figures of a document of lines after its discounts."""
    per_line = [net_of([one.shares[n] for one in taken], places(case)) for n in range(len(nets))]
    kept = [net_of([net, -off], places(case)) for net, off in zip(nets, per_line, strict=True)]
    document = totals([(Vat.STANDARD, rate, net) for rate, net in zip(rates, kept, strict=True)], places(case))
    found = {
        "discount": net_of([one.amount for one in taken], places(case)),
        "net": document.net,
        "tax": document.vat,
        "total": document.gross,
        "shares": per_line,
        "line_taxes": [vat_of(net, rate, places(case)) for rate, net in zip(rates, kept, strict=True)],
        "average_tax_rate": average_rate(document.shares),
    }
    found["share_cents"] = [100 * sum((one.exact[n] for one in taken), Fraction(0)) for n in range(len(nets))]
    if len(taken) == 1:
        found["coupon_left"] = taken[0].after.left
    return found


def _coupon_on_invoices(case: Case) -> dict[str, Any]:
    """One coupon on one invoice after the other: what it has left goes on."""
    left = coupons(case.given)
    nets = []
    for n, found in enumerate(case.given.values("invoices")):
        path = f"given.invoices[{n}]"
        if isinstance(found, dict):
            one = Given(found, path)
            lines = one.children_of("lines") if "lines" in one else [one]
            bases = [line.number("net") for line in lines]
        else:
            bases = [as_decimal(found, path)]
        taken = allowances(bases, left, places(case))
        left = [one.after for one in taken]
        nets.append(net_of([*bases, *(-one.amount for one in taken)], places(case)))
    found = {"invoice_nets": nets}
    return {**found, "coupon_left": left[0].left} if len(left) == 1 else found


def _coupon_on_items(case: Case) -> dict[str, Any]:
    """Each item with its part of a period, and the discount for the billed period, if it holds in it at all."""
    nets, rates = [], []
    terms = [
        DiscountTerms(DiscountKind(one.text("type")), one.number("percent" if "percent" in one else "amount"))
        for one in case.given.children_of("coupons")
    ]
    for number, one in enumerate(case.given.children_of("items")):
        factor = one.fraction("factor")
        holds = "coupon_share" not in one or one.fraction("coupon_share") > 0
        whole = Period(FAR, FAR + timedelta(days=factor.denominator))
        stretch = Period(FAR, FAR + timedelta(days=factor.numerator))
        position = item(
            flat(one.number("price")),
            whole,
            stretch,
            key=number,
            discounts=terms if holds else (),
            places=places(case),
        )
        nets += [due.net for due in Books().run(position, whole.start)]
        rates.append(_rate(one))
    return {"net": net_of(nets, places(case))}


@kind("waterfall")
def waterfall(case: Case) -> dict[str, Any]:
    given = case.given
    figures = coupon(case)
    due = figures["total"]
    for name in ("credit_notes", "prepaid_credits"):
        amounts = given.numbers(name) if isinstance(given.fields.get(name), list) else [given.number(name, NONE)]
        for amount in amounts:
            due = amount_due(due, prepaid=offset([due], amount).used[0])
    return {**figures, "payable": due}


def _allowances(line: Given) -> list[LineAllowance]:
    found = []
    for one in line.children_of("allowances_charges"):
        _ = ("percent" in one, "base" in one, "reason" in one)  # how the amount came about
        word = one.text("kind")
        if word not in ("allowance", "charge"):
            raise NotSupported(f"{one.path}.kind: {word!r} is not known")
        found.append(LineAllowance(one.number("amount"), word == "charge"))
    return found


def _net(line: Given, places: int) -> Decimal:
    if "net" in line:
        return line.number("net")
    return line_net(
        line.number("quantity"),
        line.number("unit_price"),
        places,
        price_base_quantity=line.number("price_base_quantity", Decimal(1)),
        allowances=_allowances(line),
    )


def _category(one: Given) -> Vat:
    code = one.text("tax_category", Vat.STANDARD)
    try:
        return Vat(code)
    except ValueError:
        raise NotSupported(f"{one.path}.tax_category: {code!r} is no category") from None


@kind("totals")
def document_totals(case: Case) -> dict[str, Any]:
    given = case.given
    _ = "document" in given  # invoices and credit notes are reckoned alike
    lines = given.children_of("lines")
    nets = [_net(line, places(case)) for line in lines]
    positions = [(_category(line), _rate(line), net) for line, net in zip(lines, nets, strict=True)]
    for one in given.children_of("document_allowances_charges"):
        _ = ("percent" in one, "base" in one, "reason" in one)
        amount = one.number("amount") if one.text("kind") == "charge" else -one.number("amount")
        positions.append((_category(one), _rate(one), amount))
    found = totals(positions, places(case))
    return {
        "line_nets": nets,
        "line_net_total": net_of(nets, places(case)),
        "net": found.net,
        "tax": found.vat,
        "total": found.gross,
        "payable": amount_due(
            found.gross,
            prepaid=given.number("prepaid", NONE),
            payable_rounding=given.number("payable_rounding", NONE),
        ),
        "tax_breakdown": [
            {"tax_category": share.case.value, "rate": share.rate, "base": share.base, "tax": share.vat}
            for share in found.shares
        ],
    }


@kind("line_net")
def net_of_line(case: Case) -> dict[str, Any]:
    return {"net": _net(case.given, places(case))}


@kind("net_sum")
def net_sum(case: Case) -> dict[str, Any]:
    return {"line_net_total": net_of(case.given.numbers("line_nets"), places(case))}


@kind("tax_amount")
def tax_amount(case: Case) -> dict[str, Any]:
    return {"tax": vat_of(case.given.number("base"), case.given.number("rate"), places(case))}


@kind("tax_included")
def tax_included(case: Case) -> dict[str, Any]:
    return {"tax": contained_vat(case.given.number("gross"), case.given.number("rate"), places(case))}


@kind("gross")
def gross(case: Case) -> dict[str, Any]:
    share = Share(Vat.STANDARD, NONE, case.given.number("net"), case.given.number("tax"))
    return {"total": total_of([share]).gross}


@kind("payable")
def payable(case: Case) -> dict[str, Any]:
    given = case.given
    due = amount_due(
        given.number("total"),
        prepaid=given.number("prepaid", NONE),
        payable_rounding=given.number("payable_rounding", NONE),
    )
    return {"payable": due}


@kind("reverse_charge_base")
def reverse_charge_base(case: Case) -> dict[str, Any]:
    given = case.given
    nets = [*given.numbers("line_nets"), given.number("charge", NONE), -given.number("allowance", NONE)]
    found = totals([(Vat.REVERSE_CHARGE, NONE, net) for net in nets], places(case))
    return {"base": found.net, "tax": found.vat}


@kind("round")
def round_(case: Case) -> dict[str, Any]:
    return {"rounded": rounded(case.given.number("value"), case.given.whole("decimals"))}


@kind("tax_treatment")
def tax_treatment(case: Case) -> dict[str, Any]:
    given = case.given
    seller, buyer = given.text("seller_country"), given.child("buyer")
    if "country" not in buyer:
        raise NotSupported("given.buyer.country: missing; an account without its country gets no invoice")
    if seller not in STARTING_RULES:
        raise NotSupported(f"given.seller_country: no VAT rules come with the product for a seller in {seller}")
    customer = Customer.BUSINESS_WITH_ID if buyer.text("vat_id", "") == "valid" else Customer.BUSINESS_WITHOUT_ID
    one = buyer_of(seller, buyer.text("country"), buyer.text("postcode", ""), "", customer=customer)
    rule = choose(STARTING_RULES[seller], one, "standard", date(2026, 1, 1))
    words = {
        Vat.STANDARD: f"standard:{seller}",
        Vat.REVERSE_CHARGE: "reverse_charge",
        Vat.OUTSIDE: "exempt_outside_eu",
    }
    return {"treatment": words[rule.case]}


@kind("tax_choice")
def tax_choice(case: Case) -> dict[str, Any]:
    raise NotSupported("the rate follows from the law, the product and the day; no rates are configured to choose from")


@kind("credit_note")
def credit_note(case: Case) -> dict[str, Any]:
    return _termination(case) if "line" in case.given else _partial_credit(case)


def _termination(case: Case) -> dict[str, Any]:
    """A line of a running contract, credited from the day after the last one billed."""
    given, line, decimals = case.given, case.given.child("line"), places(case)
    rate, period = given.number("tax_rate", NONE), range_of(line, "period")
    billed = line.number("billed_net") if "billed_net" in line else line.number("price")
    _ = "price" in line
    terms = item(flat(billed), period, period, places=decimals)
    books = Books()
    books.run(terms, period.start)
    end = given.day("terminated_on") + timedelta(days=1)
    credits = [due for due in books.run(ended(terms, end), period.end) if due.kind is Kind.CREDIT]
    note = taxed([-due.net for due in credits], rate, decimals)
    nets = [billed, *given.numbers("other_lines")]
    invoice = taxed(nets, rate, decimals)
    total = given.number("invoice_total", invoice.gross)
    open_ = amount_due(total, prepaid=given.number("paid", total))
    refund = refundable(note.gross, open_) if given.flag("refund_wanted") else NONE
    kept = amount_due(note.gross, prepaid=refund)
    found: dict[str, Any] = {
        "net": note.net,
        "tax": note.vat,
        "total": note.gross,
        "factor": sum((share_of(d.period, period, terms.proration, terms.schedule.grid) for d in credits), Fraction(0)),
        "refund": refund,
        "credit": kept,
        "invoice": {"net": invoice.net, "tax": invoice.vat, "total": invoice.gross},
        "first_invoice_total": total,
    }
    if "usage_net" in given:
        usage = taxed([given.number("usage_net")], rate, decimals)
        left = offset([open_], kept).left  # the credit pays first what is open of its own invoice
        used = offset([usage.gross], left)
        found["usage_invoice"] = {
            "net": usage.net,
            "tax": usage.vat,
            "total": usage.gross,
            "credit_used": used.used[0],
            "payable": amount_due(usage.gross, prepaid=used.used[0]),
        }
        found["credit_left"] = used.left
    return found


def _partial_credit(case: Case) -> dict[str, Any]:
    given, decimals = case.given, places(case)
    invoice, rate = given.child("invoice"), given.number("tax_rate")
    discount = invoice.number("discount", NONE)
    if "lines" in invoice:
        _ = [line.text("id", "") for line in invoice.children_of("lines")]
        lines = net_of([line.number("net") for line in invoice.children_of("lines")], decimals)
    else:
        lines = net_of([invoice.number("net"), discount], decimals)
    _ = ("net" in invoice, "total" in invoice)
    vat = invoice.number("tax") if "tax" in invoice else vat_of(net_of([lines, -discount], decimals), rate, decimals)
    whole = Creditable(lines, rate, vat, discount)
    notes: list[Credit] = []
    if "earlier_credit_net" in given:
        net = given.number("earlier_credit_net")
        tax = given.number("earlier_credit_tax", vat_of(net, rate, decimals))
        notes.append(Credit(net, NONE, net, tax))
    earlier = len(notes)
    for wanted in _wanted(given, decimals):
        credited = net_of([note.lines for note in notes], decimals)
        notes.append(credit(whole, creditable(lines, credited, wanted), notes, decimals))
    own = notes[earlier:]
    told = [{"discount_share": note.discount, "net": note.net, "tax": note.vat, "total": note.gross} for note in own]
    left = creditable(lines, net_of([note.lines for note in notes], decimals), lines)
    return {"notes": told, "credit_left": left, **(told[-1] if told else {})}


def _wanted(given: Given, decimals: int) -> list[Decimal]:
    """What is to be given back, note by note."""
    if "credits_in_sequence" in given:
        return given.numbers("credits_in_sequence")
    if "credit_lines" not in given:
        return [given.number("credit_wanted" if "credit_wanted" in given else "credit_net")]
    if all(isinstance(one, dict) for one in given.values("credit_lines")):
        lines = given.children_of("credit_lines")
        _ = [line.text("id", "") for line in lines]
        return [net_of([line.number("net" if "net" in line else "amount") for line in lines], decimals)]
    return [net_of(given.numbers("credit_lines"), decimals)]


@kind("account_credit")
def account_credit(case: Case) -> dict[str, Any]:
    given, decimals = case.given, places(case)
    open_, next_ = given.numbers("open_invoices"), given.numbers("next_invoices")
    amount = given.number("credit")
    left = offset(open_, amount).left
    used = offset(next_, left).used
    return {
        "account_balance": amount_due(net_of([*open_, *next_], decimals), prepaid=amount),
        "balance_after_open": amount_due(net_of(open_, decimals), prepaid=amount),
        "next_payment": amount_due(net_of(next_, decimals), prepaid=net_of(used, decimals)),
    }


@kind("consolidated")
def consolidated(case: Case) -> dict[str, Any]:
    """A collective invoice has a section per account below, whose net is what its lines come to."""
    given = case.given
    status = given.text("parent_status", "draft")
    if status != "draft":
        raise NotSupported(
            f"given.parent_status: {status!r}; what arises after a collective invoice is issued goes onto the next one"
        )
    _ = "date" in given
    children = given.child("children")
    sections = []
    for name in children.fields:
        lines = children.children_of(name)
        _ = [(line.fields, [key in line for key in line.fields]) for line in lines]
        sections.append({"child": name, "amount": net_of([line.number("amount") for line in lines], places(case))})
    return {"lines": sections, "total": net_of([section["amount"] for section in sections], places(case))}


@kind("consolidated_months")
def consolidated_months(case: Case) -> dict[str, Any]:
    given = case.given
    months = [given.number("months")] if not isinstance(given.fields.get("months"), list) else given.numbers("months")
    positions = []
    for number, one in enumerate(given.by_name("subscriptions").values()):
        schedule = Schedule(Grid.anniversary(interval(one), FAR), FAR)
        positions.append(ItemTerms(number, places(case), schedule, flat(one.number("amount")), Decimal(1)))
    runs, books = Grid.anniversary(Interval(Unit.MONTH), FAR), Books()
    nets = []
    for month in range(int(max(months, default=NONE))):
        on = runs.boundary(month)
        nets.append(net_of([due.net for terms in positions for due in books.run(terms, on)], places(case)))
    return {"totals": [nets[int(month) - 1] for month in months]}


@kind("dunning")
def dunning(case: Case) -> dict[str, Any]:
    """Levels by age, reached day by day; levels by balance or number and retries of payments are not there."""
    given = case.given
    levels = given.children_of("levels")
    if not levels or not all("after_days" in level for level in levels) or "level_dates" not in case.expect:
        raise NotSupported("reminders go by the days since an item was due; no levels by balance or number, no retries")
    due_on = given.day("oldest_unpaid_invoice")
    steps, names, before = [], [], 0
    for number, level in enumerate(levels):
        steps.append(Level(number, level.whole("after_days") - before, 0))
        before = level.whole("after_days")
        names.append(level.text("name", str(number + 1)))
    dates: dict[str, date] = {}
    reminded = None
    for age in range(before + 1):
        on = due_on + timedelta(days=age)
        found = decide([Item(1, "EUR", due_on, Decimal(1), reminded)], steps, on)
        for letter in found.letters:
            reminded = letter.level.number, on
            dates[names[letter.level.number]] = on
    return {"level_dates": list(dates.values()) if isinstance(case.expect["level_dates"], list) else dates}
