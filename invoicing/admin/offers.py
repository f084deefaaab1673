"""Letters about what is not invoiced yet: pro forma invoices, and quotes for a change of a contract. None is kept."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.views.decorators.http import require_POST
from pikepdf import Pdf

from billing import contracts
from billing.admin.amendments import ICONS, RIGHT, ChangeForm
from billing.kernel.money import places_of
from billing.models import Amendment, Discount, Product, Subscription
from invoicing import simulation
from invoicing.einvoice.facts import PartyFacts
from invoicing.einvoice.reading import facts_of, party_facts
from invoicing.models import Invoice
from invoicing.parties import seller_of
from invoicing.pdf import proforma, quote
from invoicing.pdf.style import style_of
from invoicing.pdf.wording import Wording
from tenants.errors import OperatorError
from tenants.models import Tenant
from tenants.responsibility import effective
from tenants.transactions import rehearsal

PARTY = ("reference", "name", "street", "postcode", "city", "country", "vat_id")
HOLDS = timedelta(days=30)  # for which a quote holds unless its writer says otherwise
ONE_DAY = timedelta(days=1)
DETAILS = (
    "line",
    "product",
    "quantity",
    "unit_price",
    "flat_amount",
    "instalments",
    "discount",
    "periods",
    "until",
    "ends_before",
    "billing_day",
)  # of a change, as its form names them: what a customer is told


class NothingToShow(OperatorError):
    """There is nothing to write about."""


def contract_proforma(request: HttpRequest, key: int) -> HttpResponseBase:
    """What the next invoice of a contract alone will be."""
    if not request.user.has_perm("billing.view_subscription"):
        raise PermissionDenied
    seen = Subscription.objects.visible_to(request.user).select_related("issuer", "tenant")
    contract = get_object_or_404(seen, pk=key)
    back = reverse("admin:billing_subscription_change", args=[contract.pk])
    return _proforma(request, lambda on: simulation.next_of_contract(contract, on=on), contract.reference, back)


def account_proforma(request: HttpRequest, key: int) -> HttpResponseBase:
    """What an account will have to pay for next, of each issuer, in one file."""
    if not request.user.has_perm("billing.view_subscription"):
        raise PermissionDenied
    account = get_object_or_404(Tenant.objects.visible_to(request.user), pk=key)
    back = reverse("account", args=[account.pk])
    return _proforma(request, lambda on: simulation.next_of_account(account, on=on), account.reference, back)


def _proforma(request: HttpRequest, drafts: Any, reference: str, back: str) -> HttpResponseBase:
    today = timezone.localdate()
    try:
        with rehearsal():
            found = Invoice.objects.filter(pk__in=drafts(today)).visible_to(request.user).order_by("pk")
            issuers = dict(found.values_list("pk", "issuer"))
            told = facts_of(issuers)
        if not told:
            raise NothingToShow(gettext("Nothing more will be invoiced, as things stand."))
        letters = [
            proforma.render(facts, style_of(issuer)) for issuer, facts in zip(issuers.values(), told, strict=True)
        ]
    except OperatorError as refusal:
        messages.error(request, str(refusal))
        return HttpResponseRedirect(back)
    return _shown(_joined(letters), f"proforma-{reference}-{today.isoformat()}")


def _joined(letters: list[bytes]) -> bytes:
    if len(letters) == 1:
        return letters[0]
    out = BytesIO()
    with Pdf.new() as joined:
        for letter in letters:
            with Pdf.open(BytesIO(letter)) as one:
                joined.pages.extend(one.pages)
        joined.save(out)
    return out.getvalue()


@require_POST
def amendment_quote(request: HttpRequest, key: int) -> HttpResponseBase:
    """An offer to make the change that stands in the form of an amendment, with the money that the form shows."""
    if not request.user.has_perm(RIGHT):
        raise PermissionDenied
    contract = get_object_or_404(
        Subscription.objects.visible_to(request.user).select_related("tenant", "issuer"), pk=key
    )
    kind = request.POST.get("kind", "")
    if kind not in ICONS:
        raise Http404
    back = f"{reverse('admin:billing_subscription_amend', args=[contract.pk])}?kind={kind}"
    form = ChangeForm(contract, kind, request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(str(text) for texts in form.errors.values() for text in texts))
        return HttpResponseRedirect(back)
    today = timezone.localdate()
    try:
        until = _valid_until(request.POST.get("valid_until", ""), today)
        facts = _quoted(contract, form, today, until)
        letter = quote.render(facts, style_of(contract.issuer_id))
    except OperatorError as refusal:
        messages.error(request, str(refusal))
        return HttpResponseRedirect(back)
    return _shown(letter, f"quote-{contract.reference}-{today.isoformat()}")


def _valid_until(said: str, today: date) -> date:
    if not said:
        return today + HOLDS
    try:
        until = date.fromisoformat(said)
    except ValueError as error:
        raise NothingToShow(gettext("“%(day)s” is no day.") % {"day": said}) from error
    if until < today:
        raise NothingToShow(gettext("A quote that is no longer valid cannot be written."))
    return until


def _quoted(contract: Subscription, form: ChangeForm, today: date, until: date) -> quote.QuoteFacts:
    kind, language = form.kind, effective([contract.tenant], contract.issuer)[contract.tenant_id].language
    change = contracts.asked(
        contract,
        kind,
        form.values,
        on=today,
        reason=form.cleaned_data["reason"],
        by=None,
        channel=Amendment.Channel.ADMIN,
    )
    shown = contracts.preview(contract, change, through=today)
    if shown.effective_on > today:
        shown = contracts.preview(contract, change, through=shown.effective_on)
    with translation.override(language):
        words = [capfirst(str(Amendment.Kind(kind).label)), *_details(contract, form, language)]
    total = None
    if shown.tcv_before is not None and shown.tcv_after is not None:
        total = (shown.tcv_before, shown.tcv_after)
    return quote.QuoteFacts(
        written_on=today,
        valid_until=until,
        language=language,
        currency=shown.currency,
        places=places_of(shown.currency),
        seller=party_facts(seller_of(contract.issuer)),
        customer=PartyFacts(**{name: getattr(contract.tenant, name) for name in PARTY}),
        contract=contract.reference,
        change=tuple(words),
        effective_on=shown.effective_on,
        lines=tuple(
            quote.QuotedFacts(
                text=line.product.name_de if language == "de" else line.product.name_en,
                quantity=line.quantity,
                unit=line.product.unit,
                first=line.period.start,
                last=line.period.end - ONE_DAY,
                net=line.net,
            )
            for line in shown.added
        ),
        billed_through=shown.through,
        difference=shown.difference,
        monthly=(shown.mrr_before, shown.mrr_after),
        total_value=total,
    )


def _details(contract: Subscription, form: ChangeForm, language: str) -> Iterator[str]:
    """What the change sets, in the active language: label and value."""
    wording = Wording(language, contract.currency, places_of(contract.currency))
    for name in DETAILS:
        value = form.cleaned_data.get(name)
        if value in (None, ""):
            continue
        if name == "line":
            item = contract.items.filter(line=int(value)).select_related("product").order_by("-pk").first()
            shown = _name(item.product, language) if item else str(value)
        elif isinstance(value, Decimal):
            shown = wording.number(value)
        elif isinstance(value, date):
            shown = wording.day(value)
        else:
            shown = _name(value, language) if isinstance(value, Product | Discount) else str(value)
        yield f"{capfirst(str(form.fields[name].label))}: {shown}"


def _name(record: Any, language: str) -> str:
    return str(record.name_de if language == "de" else record.name_en)


def _shown(content: bytes, name: str) -> HttpResponse:
    response = HttpResponse(content, content_type="application/pdf")
    response["Content-Disposition"] = f'inline; filename="{name}.pdf"'
    return response
