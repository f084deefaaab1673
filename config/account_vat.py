"""The VAT id on an account's page: what proves it, what to warn of, and VIES asked at once."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from invoicing import vat_warnings
from invoicing.vat_warnings import Fault, Warned
from tenants import vat_inquiries, vies
from tenants.admin import figures
from tenants.admin.vat import asked_text
from tenants.errors import OperatorError
from tenants.models import Issuer, Tenant, VatCheck
from tenants.transactions import acting


def panel(user: Any, tenant: Tenant, today: date) -> dict[str, Any]:
    """What is known of the account's VAT id, and what to warn of; at most three queries."""
    check = tenant.vat_checks.filter(vat_id=tenant.vat_id).first() if tenant.vat_id else None
    issuer = billed_by(tenant)
    warned = vat_warnings.of_account(issuer, tenant, check, on=today) if issuer else None
    can_be_asked = bool(issuer and tenant.vat_id and tenant.country != issuer.country and vies.is_asked())
    return {
        "check": check,
        "is_proof": check is not None and check.method == VatCheck.Method.VIES,
        "warning": warning(warned, issuer) if warned and issuer else "",
        "may_ask": can_be_asked and user.has_perm("tenants.change_vatinquiry"),
    }


def billed_by(tenant: Tenant) -> Issuer | None:
    """The issuer of the account's latest contract, else the first one."""
    latest = Issuer.objects.filter(subscriptions__tenant=tenant).order_by("-subscriptions__pk").first()
    return latest or Issuer.objects.order_by("pk").first()


def warning(warned: Warned, issuer: Issuer) -> str:
    """In a sentence or two: what is missing, by which evidence of which day, and what follows for documents."""
    check = warned.check
    day = figures.day(date.fromisoformat(check.on)) if check else ""
    charged = gettext("Its invoices show VAT of %(country)s.") % {"country": issuer.country}
    match warned.fault:
        case Fault.NO_ID:
            return f"{gettext('EU customer without a VAT id.')} {charged}"
        case Fault.NOT_VALID if check and check.method == VatCheck.Method.VIES:
            said = gettext("EU customer without a valid VAT id: VIES said on %(day)s that it is not valid.")
            return f"{said % {'day': day}} {charged}"
        case Fault.NOT_VALID:
            return f"{gettext('EU customer without a valid VAT id.')} {charged}"
        case Fault.OLD:
            said = gettext("VIES confirmed the VAT id on %(day)s, longer ago than %(issuer)s allows (%(days)d days).")
            said %= {"day": day, "issuer": issuer.reference, "days": issuer.vat_check_max_age_days}
        case _:
            said = gettext("The VAT id is not confirmed by VIES.")
            if check:
                said += " " + gettext("Only its check digits were checked, on %(day)s.") % {"day": day}
    follows = {
        Issuer.WithoutConfirmation.WAIT: gettext("Documents without VAT wait until it is."),
        Issuer.WithoutConfirmation.CHARGE: charged,
        Issuer.WithoutConfirmation.ACCEPT: gettext("Documents are issued without VAT all the same."),
    }
    nobody = gettext("VIES is not asked: documents are issued without VAT by the check digits alone.")
    return f"{said} {follows[Issuer.WithoutConfirmation(warned.policy)] if warned.policy else nobody}"


@require_POST
def ask_vies(request: HttpRequest, key: int) -> HttpResponse:
    """Have VIES asked about the account's VAT id now."""
    user = request.user
    if not (user.has_perm("tenants.view_tenant") and user.has_perm("tenants.change_vatinquiry")):
        raise PermissionDenied
    tenant = get_object_or_404(Tenant.objects.visible_to(user), pk=key)
    issuer = billed_by(tenant)
    try:
        with acting(actor=user.get_username(), channel="admin"):
            count = vat_inquiries.ask_now(issuer, [tenant.pk], now=timezone.now()) if issuer else 0
    except OperatorError as refusal:
        messages.error(request, str(refusal))
    else:
        messages.add_message(request, messages.SUCCESS if count else messages.WARNING, asked_text(count))
    return HttpResponseRedirect(reverse("account", args=[tenant.pk]))
