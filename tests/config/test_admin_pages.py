"""Every page of the admin, in both languages; and that long lists cost no more queries than short ones."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from html import unescape

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, reverse
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule

from billing import campaigns, contracts
from billing.models import ChangeRequest, Grant, Price, PriceCampaign, Subscription, UsageToken
from config.urls import urlpatterns
from invoicing import correction, price_notice, statements
from invoicing.models import ExchangeRate, Invoice, Letterhead, LetterText, OpenItem, RefundRequest
from payments import disputes, dunning
from payments.models import DunningBlock
from tenants import messages, webhooks
from tenants.models import Contact, ImportBatch, ImportRow, Issuer, TreeChange, VatCheck, VatInquiry, WebhookEndpoint
from tests.builders import make_grant, make_issuer, make_tenant
from tests.payments.bank_rows import use_banks
from tests.payments.provider_rows import provide
from tests.small_book import FEBRUARY, MARCH, bill, make_contract
from tests.usage_rows import store_little_usage

pytestmark = pytest.mark.django_db

# What the theme, Django and its other apps say where nobody translated them.
ENGLISH = """
    Type to search|Apply Filters|Reset filters|Filters|Select value|Select action|Select record|Select all rows
    No results found
    This page yielded|Save and continue editing|Save and add another|Add another|Go back|General|More actions|No data
    Welcome back|All applications|Search apps|Choose file|Click to download|Current file|Add row|Add new item|Date from
    Raw passwords are not stored|After you've created a user|Loading more|Recent searches|Toggle password|Expand row
    Light|Dark|Unknown|Close|History|Change password|Log out|Delete|Cancel|Permissions|Can add|Can change|Can view
"""
FORBIDDEN = [text.strip() for text in ENGLISH.replace("\n", "|").split("|") if text.strip()]


def fill(serial: int) -> None:
    """One more row, at least, of everything that has a page."""
    issuer = make_issuer()
    tenant = make_tenant(vat_id="DE489068288")
    Contact.objects.create(tenant=tenant, name=f"Jana {serial}", email=f"jana{serial}@example.com", is_billing=True)
    VatCheck.objects.create(tenant=tenant, vat_id=tenant.vat_id, method="check_digits", is_valid=True)
    ExchangeRate.objects.create(currency="USD", day=date(2026, 1, serial), rate=Decimal("1.08"), source="EZB")
    contract = make_contract(issuer, tenant)
    make_grant(subscription=contract)
    given = make_grant(subscription=contract, level="document")
    Grant.objects.filter(pk=given.pk).update(subscription=None, tenant=tenant)
    ChangeRequest.objects.create(subscription=contract, kind="change", wish="Zwei Plätze mehr")
    make_contract(issuer, make_tenant(parent=tenant, pay_by=tenant))
    contracts.pause(contract, effective=date(2026, 5, 1), reason="Umbau", by=None, channel="command")
    raise_prices(issuer)
    bill(issuer, FEBRUARY)
    bill(issuer, MARCH, issues=False)
    statements.collect_pending()
    dunning.remind(issuer, on=date(2026, 3, 20))
    DunningBlock.objects.create(tenant=tenant, reason="Ratenzahlung", starts_on=FEBRUARY)
    messages.compose(
        f"test:{serial}", issuer=issuer, tenant=tenant, recipient="a@example.com", subject="Rechnung", body="Text"
    ).save()
    correct(serial)
    endpoint = WebhookEndpoint(
        issuer=issuer, url=f"https://shop{serial}.example.com/", name="Shop", events=["invoice.paid"]
    )
    webhooks.open_endpoint(endpoint)
    webhooks.send_test(endpoint, now=datetime(2026, 3, 20, tzinfo=UTC))
    Letterhead.objects.create(issuer=issuer, foot_1="Eigene Zeile")
    LetterText.objects.create(issuer=issuer, opening="Guten Tag {customer},")
    VatInquiry.objects.create(issuer=issuer, tenant=tenant, vat_id="ATU13585627")
    used = store_little_usage(issuer, tenant, f"PBX{serial}")
    UsageToken.objects.create(source=used.key.source, digest=f"{serial:064}", hint="ku_12345")
    provide(issuer, tenant, serial)
    use_banks(issuer, tenant, serial)
    batch = ImportBatch.objects.create(kind="tenants", file_name=f"{serial}.csv", sha256="0" * 64, counts={"new": 1})
    ImportRow.objects.create(batch=batch, number=1, reference="T1", state="new", cells={"name": "Café"})
    user = User.objects.create_user(f"user{serial}", is_staff=True)
    user.groups.add(Group.objects.create(name=f"group {serial}"))
    crontab = CrontabSchedule.objects.create(minute=str(serial), hour="2")
    PeriodicTask.objects.create(name=f"task {serial}", task="config.nightly", crontab=crontab)
    IntervalSchedule.objects.create(every=serial + 1, period="hours")
    ClockedSchedule.objects.create(clocked_time=datetime(2026, 1, serial + 1, tzinfo=UTC))
    SolarSchedule.objects.create(event="sunset", latitude=serial, longitude=serial)


def raise_prices(issuer: Issuer) -> None:
    """A campaign that was applied, its letters written."""
    campaign = PriceCampaign.objects.create(
        issuer=issuer, name="2026", wanted_on=date(2026, 4, 1), percent=3, reason="Kosten"
    )
    campaigns.apply(campaigns.announce(campaign, on=FEBRUARY, by=None, channel="command"))
    price_notice.write_notices(limit=10)


def correct(serial: int) -> None:
    """A credit note that leaves a credit wanted back, a dispute, and a cancellation that waits for approval."""
    invoice = Invoice.objects.filter(state="issued", kind="invoice").latest("pk")
    disputes.contest(invoice.lines.get().pk, on=FEBRUARY, reason="Nicht bestellt")
    user = User.objects.create_user(f"asks{serial}")
    correction.approving.request(invoice.pk, None, on=MARCH, reason="Falsche Menge", by=user)
    item = OpenItem.objects.get(invoice=invoice)
    RefundRequest.objects.create(open_item=item, wanted_on=MARCH, reason="Umzug")


def lists() -> list[str]:
    return [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model in sorted(admin.site._registry, key=lambda model: model._meta.label)
    ]


def queries(client, url: str) -> int:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        response = client.get(url)
    assert response.status_code == 200, url
    return len(captured)


def test_a_list_of_three_rows_asks_no_more_than_a_list_of_one(admin_client):
    fill(1)
    urls = [*lists(), reverse("admin:index"), *pages(admin_client)]
    for url in urls:
        admin_client.get(url)  # what is remembered is remembered from here on
    before = {url: queries(admin_client, url) for url in urls}
    fill(2)
    fill(3)
    assert {url: queries(admin_client, url) for url in urls} == before


def pages_of_every_model(client) -> list[str]:
    """List, form for a new record where there is one, and the page of one record, of every model with screens."""
    urls = []
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        urls.append(reverse(f"{name}_changelist"))
        if client.get(reverse(f"{name}_add")).status_code == 200:
            urls.append(reverse(f"{name}_add"))
        record = client.get(reverse(f"{name}_changelist")).context["cl"].queryset.order_by("-pk").first()
        assert record is not None, f"no {model.__name__} to look at"
        urls.append(reverse(f"{name}_change", args=[record.pk]))
        if model._meta.label == "tenants.Tenant":
            urls += [
                reverse(page, args=[record.pk])
                for page in ("account", "account_settings", "account_calendar", "account_align", "account_statement")
            ]
            urls += [reverse("restructure", args=[record.pk, kind]) for kind in TreeChange.Kind]
    contract = Subscription.objects.order_by("pk").last()
    urls += [
        reverse("admin:billing_subscription_amend", args=[contract.pk]),
        reverse("admin:invoicing_billrun_bill_payer", args=[contract.tenant.pay_by_id or contract.tenant_id]),
        reverse("what_if_contract", args=[contract.pk]),
        reverse("what_if_price", args=[Price.objects.order_by("pk").last().pk]),
    ]
    return [*urls, *pages(client), *map(reverse, ("admin:index", "admin:password_change"))]


def pages(client) -> list[str]:
    """The reports and other pages beside the records': what stands in ``config.urls`` and can be opened as it is."""
    routes = [pattern for pattern in urlpatterns if isinstance(pattern, URLPattern) and pattern.name]
    own = [route for route in routes if str(route.pattern).startswith("admin/") and "<" not in str(route.pattern)]
    answers = {url: client.get(url) for url in (reverse(str(route.name)) for route in own)}
    return [
        url
        for url, answer in answers.items()
        if answer.status_code != 405 and answer["Content-Type"].startswith("text/html")
    ]


def test_what_no_text_can_be_is_refused(admin_client):
    page = reverse("admin:invoicing_invoice_changelist")
    assert admin_client.get(page, {"state": "a\0"}).status_code == 400
    assert admin_client.post(page, {"action": "release", "_reason": "a\0"}).status_code == 400
    assert admin_client.get(reverse("admin:tenants_activity_changelist"), {"q": "²"}).status_code == 200
    assert admin_client.get(reverse("admin:payments_letter_changelist"), {"level": "x"}).status_code == 200
    assert admin_client.post(reverse("admin:tenants_tenant_process_import"), {"batch": "²"}).status_code == 404


def seen(html: str) -> list[str]:
    """The texts and titles a person can read."""
    html = re.sub(r"(?s)<(script|style|template)\b.*?</\1>|<!--.*?-->", " ", html)
    html = re.sub(r'<span class="material-symbols-outlined[^"]*"[^>]*>[^<]*</span>', " ", html)
    attributes = re.findall(r'(?:placeholder|title|aria-label)="([^"]*)"', html)
    return [unescape(text).strip() for text in [*re.sub(r"<[^>]*>", "\x00", html).split("\x00"), *attributes]]


def test_every_page_opens_in_both_languages_and_keeps_to_the_headers(admin_client):
    fill(1)
    left = {}
    for language in ("de", "en"):
        admin_client.cookies["django_language"] = language
        for url in pages_of_every_model(admin_client):
            response = admin_client.get(url)
            html = response.content.decode()
            assert response.status_code == 200, url
            assert f'<html lang="{language}"' in html, url
            assert "script-src 'self' 'unsafe-eval'" in response["Content-Security-Policy"]
            assert response["Cache-Control"] == "no-store"
            assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>\s*\S|\son(click|submit|change|load)=", html), url
            assert "<script>" not in html, url
            if language == "de":
                english = {
                    text for text in seen(html) for word in FORBIDDEN if text == word or text.startswith(f"{word} ")
                }
                if english:
                    left[url] = english
    assert not left
