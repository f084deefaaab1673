"""VAT of a quarter: EC sales list, One-Stop Shop, and the evidence for every 0 percent, on screen and as CSV."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, gettext
from django.views.decorators.http import require_GET

from billing.kernel.money import places_of, rounded
from billing.kernel.period import Period, months_after
from invoicing import vat_report
from invoicing.kernel.german_rules import cited
from invoicing.models import Invoice
from tenants.admin import figures
from tenants.admin.csv_files import csv_answer
from tenants.admin.scope import part_misleads
from tenants.models import Issuer, VatCheck
from tenants.models.visibility import is_bounded, whole_issuers

QUARTERS = 8
SHOWN = 200


def _faults() -> dict[str, str]:
    return {
        "missing": gettext("no check is linked"),
        "invalid": gettext("the check says the VAT id is not valid"),
        "unconfirmed": gettext("not confirmed by VIES: check digits alone"),
        "old": gettext("the confirmation was older than the issuer allows"),
    }


def _issuers(request: HttpRequest) -> list[Issuer]:
    """Those whose figures the user sees whole."""
    if not request.user.has_perm("invoicing.view_vatshare"):
        raise PermissionDenied
    return list(Issuer.objects.filter(whole_issuers(request.user)).order_by("reference"))


def _asked(request: HttpRequest, issuers: list[Issuer]) -> tuple[Issuer, Period]:
    wanted = request.GET.get("issuer", "")
    issuer = next((one for one in issuers if str(one.pk) == wanted), issuers[0] if issuers else None)
    if issuer is None:
        raise Http404
    today = timezone.localdate()
    try:
        day = date.fromisoformat(request.GET.get("quarter", ""))
    except ValueError:
        day = today
    return issuer, vat_report.quarter_of(day)


@require_GET
def page(request: HttpRequest) -> HttpResponseBase:
    """The figures of a quarter of one issuer. Staff who see a part of it see why it is not told to them."""
    issuers = _issuers(request)
    if not issuers and is_bounded(request.user):
        return part_misleads(request, gettext("VAT report"))
    issuer, quarter = _asked(request, issuers)
    shares = vat_report.shares_of(issuer, quarter)
    proofs = list(vat_report.evidence(issuer, shares))
    faulty = [proof for proof in proofs if proof.fault]
    faults = _faults()
    context = {
        **admin.site.each_context(request),
        "title": gettext("VAT report"),
        "threshold_by": cited("§ 3a (5), § 3c (4) UStG, Art. 59c Directive 2006/112/EC", get_language() or "en"),
        "issuer": issuer,
        "issuers": issuers,
        "quarter": quarter.start.isoformat(),
        "quarter_shown": _named(quarter.start),
        "quarters": [(day.isoformat(), _named(day)) for day in _quarters(timezone.localdate())],
        "sales": [
            {
                "vat_id": row.vat_id,
                "supply": _supply(row.supply),
                "documents": figures.number(row.documents),
                "base": figures.money(row.base, row.currency),
            }
            for row in vat_report.sales_list(issuer, shares)
        ],
        "oss": [
            {
                "country": row.country,
                "rate": figures.number(row.rate),
                "base": figures.money(row.base, row.currency),
                "vat": figures.money(row.vat, row.currency),
            }
            for row in vat_report.one_stop_shop(issuer, shares)
        ],
        "distance": _distance(issuer, quarter.start.year),
        "proved": figures.number(len(proofs) - len(faulty)),
        "proofs": figures.number(len(proofs)),
        "faulty": [
            {
                "number": proof.share.number,
                "url": reverse("admin:invoicing_invoice_change", args=[proof.share.invoice]),
                "day": figures.day(proof.share.issued_on),
                "vat_id": proof.share.vat_id,
                "fault": faults[proof.fault],
            }
            for proof in faulty[:SHOWN]
        ],
        "is_cut": len(faulty) > SHOWN,
    }
    return TemplateResponse(request, "invoicing/admin/vat_report.html", context)


def _distance(issuer: Issuer, year: int) -> dict[str, Any] | None:
    """How near sales to consumers in other member states are to the threshold."""
    found = vat_report.distance_sales(issuer, year)
    if found is None:
        return None
    return {
        "year": str(found.year),
        "net": figures.money(found.net, issuer.currency),
        "year_before": str(found.year - 1),
        "before": figures.money(found.before, issuer.currency),
        "threshold": figures.money(vat_report.THRESHOLD, issuer.currency),
        "width": max(0, min(100, int(found.net * 100 / vat_report.THRESHOLD))),
        "is_passed": found.is_passed,
        "is_warning": found.is_passed and not issuer.uses_oss,
    }


@require_GET
def download(request: HttpRequest) -> HttpResponse:
    """One of the three lists as CSV."""
    issuer, quarter = _asked(request, _issuers(request))
    if not request.user.has_perm("invoicing.export_invoice"):
        raise PermissionDenied
    shares = vat_report.shares_of(issuer, quarter)
    wanted = request.GET.get("list", "evidence")
    rows: Iterable[tuple[Any, ...]]
    if wanted == "sales":
        head = [
            gettext("VAT id"),
            gettext("supply"),
            gettext("code of the supply"),
            gettext("documents"),
            gettext("currency"),
            gettext("taxable amount"),
        ]
        sales = vat_report.sales_list(issuer, shares)
        rows = (
            (
                row.vat_id,
                _supply(row.supply),
                row.supply,
                row.documents,
                row.currency,
                _amount(row.base, row.currency),
            )
            for row in sales
        )
    elif wanted == "oss":
        head = [
            gettext("country"),
            gettext("VAT rate"),
            gettext("currency"),
            gettext("taxable amount"),
            gettext("VAT"),
        ]
        shop = vat_report.one_stop_shop(issuer, shares)
        rows = (
            (
                row.country,
                row.rate.normalize(),
                row.currency,
                _amount(row.base, row.currency),
                _amount(row.vat, row.currency),
            )
            for row in shop
        )
    elif wanted == "evidence":
        head = _head_of_evidence()
        faults = _faults()
        rows = (_proof(proof, faults) for proof in vat_report.evidence(issuer, shares))
    else:
        raise Http404
    return csv_answer(f"vat-{wanted}-{issuer.reference}-{quarter.start}.csv", head, rows)


def _head_of_evidence() -> list[str]:
    return [
        gettext("document"),
        gettext("document date"),
        gettext("account"),
        gettext("VAT id"),
        gettext("VAT case"),
        gettext("code of the VAT case"),
        gettext("currency"),
        gettext("taxable amount"),
        gettext("checked on"),
        gettext("method"),
        gettext("valid"),
        gettext("consultation number"),
        gettext("objection"),
    ]


def _proof(proof: vat_report.Evidence, faults: dict[str, str]) -> tuple[Any, ...]:
    one = proof.share
    case = str(Invoice.VatCase(one.case).label)
    document = (one.number, one.issued_on, one.account, one.vat_id, case, one.case, one.currency)
    method = str(VatCheck.Method(one.method).label) if one.method else ""
    valid = "" if one.is_valid is None else gettext("yes") if one.is_valid else gettext("no")
    fault = faults[proof.fault] if proof.fault else ""
    return (
        *document,
        _amount(one.base, one.currency),
        one.checked_on,
        method,
        valid,
        one.consultation_number,
        fault,
    )


def _supply(code: str) -> str:
    return gettext("service") if code == "S" else gettext("delivery of goods")


def _amount(amount: Decimal, currency: str) -> Decimal:
    return rounded(amount, places_of(currency))


def _named(first: date) -> str:
    return gettext("quarter %(number)d/%(year)d") % {"number": (first.month + 2) // 3, "year": first.year}


def _quarters(today: date) -> list[date]:
    first = vat_report.quarter_of(today).start
    return [months_after(first, -3 * n) for n in range(QUARTERS)]
