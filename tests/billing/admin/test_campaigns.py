"""Price campaigns in the admin: the preview, announcing what was seen, the rights, both languages; and the command."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from html import unescape

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from billing import campaigns, contracts
from billing.models import Amendment, PriceCampaign, PriceChange, PriceNotice
from tenants import transactions
from tests.billing.test_campaigns import ANNOUNCED, JANUARY, make_campaign
from tests.builders import make_issuer, make_price, make_tenant
from tests.pages import filled
from tests.small_book import make_contract

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def english(settings, monkeypatch):
    settings.LANGUAGE_CODE = "en"
    monkeypatch.setattr(timezone, "localdate", lambda *_: ANNOUNCED)


@pytest.fixture
def book():
    issuer, tenant = make_issuer(), make_tenant(name="Café Zentral GmbH")
    price = make_price((None, "100.00", "0"))
    make_contract(issuer, tenant, reference="V-FREE", price=price)
    make_contract(
        issuer, tenant, reference="V-TERM", price=price, quantity=Decimal(2), term_months=12, renewal_months=12
    )
    make_contract(issuer, make_tenant(), reference="V-OVER", price=price, term_months=24, ends_before=date(2027, 6, 1))
    return issuer


def page(campaign: PriceCampaign) -> str:
    return reverse("admin:billing_pricecampaign_change", args=[campaign.pk])


def do(campaign: PriceCampaign, verb: str) -> str:
    return reverse("admin:billing_pricecampaign_do", args=[campaign.pk, verb])


def text_of(response) -> str:
    return " ".join(unescape(response.content.decode()).split())


def test_a_campaign_is_made_and_shown_before_anything_is_written(admin_client, book):
    form = filled(admin_client.get(reverse("admin:billing_pricecampaign_add"))) | {
        "name": "Preise 2027",
        "issuer": str(book.pk),
        "reason": "Higher costs",
        "wanted_on": "2027-01-01",
        "percent": "3",
    }
    answer = admin_client.post(reverse("admin:billing_pricecampaign_add"), form, follow=True)
    said = text_of(answer)
    campaign = PriceCampaign.objects.get()
    assert answer.redirect_chain[-1][0] == page(campaign)
    assert (campaign.state, campaign.channel, campaign.notice_days) == ("draft", "admin", 42)
    assert "before €300.00 · afterwards €309.00" in said
    assert "its term fixes the price until 31 Jan 2027" in said
    assert "It is over, or rests, by 1 Feb 2028." in said
    assert "+3 %" in said
    assert not PriceChange.objects.exists() and not Amendment.objects.exists()


def test_what_was_seen_is_announced_and_applied(admin_client, book, monkeypatch):
    woken = []
    monkeypatch.setattr(transactions, "wake", lambda task, **named: woken.append((task, named)))
    campaign = make_campaign(book)
    form = filled(admin_client.get(page(campaign)))
    admin_client.post(do(campaign, "announce"), form)
    assert woken == [("billing.apply_campaign", {"campaign_id": campaign.pk})]
    said = text_of(admin_client.get(page(campaign)))
    assert "2 waiting" in said.replace("<b>", "").replace("</b>", "")
    call_command("campaign", "Preise 2027", "--apply", stdout=_Quiet())
    total = PriceCampaign.objects.get()
    assert (total.state, total.announced_on, total.author.username) == ("applied", ANNOUNCED, "admin")
    answer = admin_client.get(reverse("admin:billing_pricecampaign_progress", args=[campaign.pk])).json()
    assert answer == {"percent": 100, "text": "3 of 3 positions", "finished": True}
    assert Amendment.objects.filter(kind="override", author__username="admin", channel="admin").count() == 2


class _Quiet:
    def write(self, *_arguments) -> None: ...

    def isatty(self) -> bool:
        return False


def test_what_changed_since_it_was_seen_is_not_announced(admin_client, book):
    campaign = make_campaign(book)
    form = filled(admin_client.get(page(campaign)))
    make_contract(book, make_tenant(), reference="V-NEW")
    said = text_of(admin_client.post(do(campaign, "announce"), form, follow=True))
    assert "Contracts have changed since the preview." in said
    assert PriceCampaign.objects.get().state == "draft"


def test_it_takes_the_right_to_apply(client, book):
    campaign = make_campaign(book)
    user = User.objects.create_user("jana", is_staff=True)
    user.user_permissions.add(*Permission.objects.filter(codename__in=["view_pricecampaign", "change_pricecampaign"]))
    client.force_login(user)
    said = text_of(client.get(page(campaign)))
    assert "Announce and apply" not in said and "Change the campaign" in said
    for verb in ("announce", "resume", "withdraw"):
        assert client.post(do(campaign, verb)).status_code == 403
        assert client.get(do(campaign, verb)).status_code == 403
    assert PriceCampaign.objects.get().state == "draft"


def test_once_announced_the_form_is_closed(admin_client, book):
    campaign = campaigns.announce(make_campaign(book), on=ANNOUNCED, by=None, channel="command")
    assert admin_client.get(reverse("admin:billing_pricecampaign_terms", args=[campaign.pk])).status_code == 403
    assert "Change the campaign" not in text_of(admin_client.get(page(campaign)))


def test_a_draft_is_changed_and_shown_anew(admin_client, book):
    campaign = make_campaign(book)
    url = reverse("admin:billing_pricecampaign_terms", args=[campaign.pk])
    form = filled(admin_client.get(url)) | {"percent": "10"}
    assert "afterwards €330.00" in text_of(admin_client.post(url, form, follow=True))


def test_two_ways_to_a_price_are_refused_in_a_sentence(admin_client, book):
    campaign = make_campaign(book)
    url = reverse("admin:billing_pricecampaign_terms", args=[campaign.pk])
    form = filled(admin_client.get(url)) | {"amount": "1"}
    assert "not two of these" in text_of(admin_client.post(url, form))


def test_withdrawing_takes_a_reason(admin_client, book):
    campaign = campaigns.apply(campaigns.announce(make_campaign(book), on=ANNOUNCED, by=None, channel="command"))
    assert "takes a reason" in text_of(admin_client.post(do(campaign, "withdraw"), {"why": " "}, follow=True))
    admin_client.post(do(campaign, "withdraw"), {"why": "Irrtum"})
    assert PriceCampaign.objects.get().state == "withdrawn"
    assert set(campaign.changes.values_list("state", flat=True)) == {"withdrawn", "skipped"}


def test_in_german(admin_client, book):
    admin_client.cookies["django_language"] = "de"
    campaign = make_campaign(book)
    said = text_of(admin_client.get(page(campaign)))
    for sentence in (
        "Ankündigen und durchführen",
        "vorher 300,00 € · danach 309,00 €",
        "die Laufzeit schreibt den Preis bis zum 31.01.2027 fest",
        "Sie ist am 01.02.2028 beendet oder ruht.",
        "+3 %",
    ):
        assert sentence in said


def test_the_page_asks_no_more_for_more_contracts(admin_client, book, django_assert_max_num_queries):
    campaign = make_campaign(book)
    admin_client.get(page(campaign))
    with django_assert_max_num_queries(45):
        admin_client.get(page(campaign))
    for n in range(20):
        make_contract(book, make_tenant(), reference=f"W{n}")
    with django_assert_max_num_queries(45):
        admin_client.get(page(campaign))


def test_the_command_shows_and_changes_nothing_without_apply(book, capsys):
    call_command("campaign", "Preise 2027", "--from", "2027-01-01", "--percent", "3", "--reason", "Kosten")
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == "2 positions: 300.00 → 309.00 EUR per month, 9.00 more."
    assert lines[-1] == "Dry run: nothing was changed."
    assert any("V-TERM/1" in line and "2027-02-01" in line and "200.00 EUR" in line for line in lines)
    assert not PriceCampaign.objects.exists()


def test_the_command_applies_and_withdraws(book, capsys):
    options = ("--from", "2027-01-01", "--percent", "3", "--reason", "Kosten", "--on", "2026-11-02")
    call_command("campaign", "Preise 2027", *options, "--apply")
    assert capsys.readouterr().out.splitlines()[-1] == ("2 positions changed, 1 left as they are, 0 parked, 1 letters.")
    free = PriceChange.objects.get(subscription__reference="V-FREE").subscription
    assert contracts.mrr(free, JANUARY) == Decimal("103.00")
    call_command("campaign", "Preise 2027", "--apply")
    assert Amendment.objects.filter(kind="override").count() == 2
    assert PriceNotice.objects.count() == 1
    call_command("campaign", "Preise 2027", "--withdraw", "--reason", "Irrtum", "--on", "2026-12-01")
    assert contracts.mrr(free, JANUARY) == Decimal("100.00")


def test_the_command_refuses_in_a_sentence(book):
    with pytest.raises(CommandError, match="takes --from and --reason"):
        call_command("campaign", "Preise 2027", "--percent", "3")
    with pytest.raises(CommandError, match="Say how many percent"):
        call_command("campaign", "X", "--from", "2027-01-01", "--amount", "3", "--reason", "x")
    with pytest.raises(CommandError, match="There is no product “P-NONE”"):
        call_command("campaign", "X", "--from", "2027-01-01", "--percent", "3", "--reason", "x", "--product", "P-NONE")
