"""Ask VIES about VAT ids, and keep the answers as evidence. What is to be asked is a row; who asks is a worker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from tenants import intents, vies
from tenants.errors import OperatorError
from tenants.models import Intent, Issuer, Tenant, VatCheck, VatInquiry
from tenants.transactions import acting, wake
from tenants.vat_id import MEMBER_STATES

logger = logging.getLogger(__name__)

LEASE: Final = timedelta(minutes=5)
PATIENCE: Final = intents.Patience(attempts=40, first_wait=timedelta(minutes=1), longest_wait=timedelta(hours=2))
SILENCE: Final = timedelta(minutes=5)  # for which nobody asks a register that gave no answer
STATES: Final = (*sorted(MEMBER_STATES), "MC", "GB")


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of some inquiries."""

    answered: int = 0
    unanswered: int = 0


def ask(issuer: Issuer, tenants: Iterable[int]) -> int:
    """Have VIES asked about the VAT ids of accounts (keys), in the caller's transaction; returns how many.

    Of an account about which it is being asked already nothing is asked again.
    """
    if not vies.is_asked():
        return 0
    wanted = _askable(issuer, Tenant.objects.filter(pk__in=list(tenants)))
    inquiries = [VatInquiry(issuer=issuer, tenant_id=key, vat_id=vat_id) for key, vat_id in wanted]
    VatInquiry.objects.bulk_create(inquiries, ignore_conflicts=True)
    if inquiries:
        wake("tenants.ask_vies")
    return len(inquiries)


class NobodyToAsk(OperatorError):
    """No address of VIES is configured."""


@transaction.atomic
def ask_now(issuer: Issuer, tenants: Iterable[int], *, now: datetime) -> int:
    """Have VIES asked about accounts (keys) because a person wants to know; returns about how many it will be.

    What waits already need not wait longer, what was given up is asked about anew. Raises ``NobodyToAsk``.
    """
    if not vies.is_asked():
        raise NobodyToAsk(_("VIES is not asked: no address of it is configured (VIES_URL)."))
    keys = list(tenants)
    moved_up = VatInquiry.objects.filter(tenant__in=keys, state=Intent.State.WAITING).update(next_at=now)
    asked = ask(issuer, keys)
    if moved_up:
        wake("tenants.ask_vies")
    return moved_up + asked


@transaction.atomic
def ask_again(issuer: Issuer, tenants: Iterable[int], *, on: date) -> int:
    """Have those asked about anew whose last confirmation is older on ``on`` than the issuer lets it be, or missing."""
    oldest = datetime.combine(
        on - timedelta(days=issuer.vat_check_max_age_days), time(), tzinfo=ZoneInfo(issuer.time_zone)
    )
    fresh = VatCheck.objects.filter(
        tenant=OuterRef("pk"), vat_id=OuterRef("vat_id"), method=VatCheck.Method.VIES, checked_at__gte=oldest
    )
    return ask(issuer, Tenant.objects.filter(~Exists(fresh), pk__in=list(tenants)).values_list("pk", flat=True))


def _askable(issuer: Issuer, tenants: QuerySet[Tenant]) -> list[tuple[int, str]]:
    """Accounts in other member states with a VAT id of the right form, and no inquiry under way."""
    under_way = VatInquiry.objects.filter(tenant=OuterRef("pk"), state__in=[Intent.State.WAITING, Intent.State.WORKING])
    return list(
        tenants.filter(~Exists(under_way), ~Q(vat_id=""), country__in=STATES)
        .exclude(country=issuer.country)
        .filter(
            Q(vat_id_valid=True) | Exists(VatCheck.objects.filter(tenant=OuterRef("pk"), method=VatCheck.Method.VIES))
        )
        .order_by("pk")
        .values_list("pk", "vat_id")
    )


def answer_pending(*, clock: Callable[[], datetime], limit: int = 20) -> Asked:
    """Ask about what waits, one by one, at most ``limit``. All zero: nothing waits whose time has come.

    A register that gives no answer is left alone for a while by everybody: the inquiries that would go there wait.
    """
    now = clock()
    intents.expire(VatInquiry.objects.all(), now=now, becomes=Intent.State.WAITING)  # asking twice does no harm
    answered = unanswered = 0
    silent: dict[str, datetime] = {}  # until when nobody asks, by member state; "" is all of them
    for inquiry in intents.claim(VatInquiry.objects.all(), now=now, lease=LEASE, limit=limit):
        state = inquiry.vat_id[:2]
        if until := silent.get("", silent.get(state)):
            _put_back(inquiry, until)
            continue
        try:
            answer = vies.ask(_question(inquiry))
        except vies.Silent as silence:
            unanswered += 1
            asked = "" if silence.is_for_all else state
            silent[asked] = clock() + max(SILENCE, timedelta(seconds=silence.wait or 0))
            intents.retry(inquiry, str(silence), now=clock(), patience=PATIENCE)
            _hush(asked, silent[asked])
        except vies.NotAsked as refusal:
            unanswered += 1
            intents.park(inquiry, str(refusal))
        else:
            answered += keep(inquiry, answer, at=clock())
    return Asked(answered, unanswered)


def keep(inquiry: VatInquiry, answer: vies.Answer, *, at: datetime) -> bool:
    """Store an answer as evidence and let it count, if the inquiry is still ours and the account still has that id."""
    with acting(actor="", channel="vies"):
        tenant = Tenant.objects.select_for_update(no_key=True, of=("self",)).get(pk=inquiry.tenant_id)
        question = _question(inquiry)
        check = VatCheck.objects.create(
            tenant=tenant,
            vat_id=inquiry.vat_id,
            method=VatCheck.Method.VIES,
            is_valid=answer.is_valid,
            answer=", ".join(part for part in (answer.name, answer.address) if part)[:200],
            requester=question.requester,
            consultation_number=answer.consultation_number,
            name_sent=question.name,
            address_sent=", ".join(part for part in (question.street, question.postcode, question.city) if part)[:350],
            name_matches=answer.name_matches,
            address_matches=answer.address_matches,
            raw=answer.raw,
            checked_at=at,
        )
        if not intents.finish(inquiry, answer=check):
            transaction.set_rollback(True)
            return False
        if tenant.vat_id == inquiry.vat_id and tenant.vat_id_valid != answer.is_valid:
            Tenant.objects.filter(pk=tenant.pk).update(vat_id_valid=answer.is_valid)
        wake("invoicing.settle_vat_checks")
    return True


def _question(inquiry: VatInquiry) -> vies.Question:
    issuer, tenant = inquiry.issuer, inquiry.tenant
    return vies.Question(inquiry.vat_id, issuer.vat_id, tenant.name, tenant.street, tenant.postcode, tenant.city)


def _put_back(inquiry: VatInquiry, until: datetime) -> None:
    """It was never asked: the attempt does not count."""
    VatInquiry.objects.filter(pk=inquiry.pk, token=inquiry.token, state=Intent.State.WORKING).update(
        state=Intent.State.WAITING, attempts=inquiry.attempts - 1, next_at=until, lease_until=None
    )


def _hush(state: str, until: datetime) -> None:
    logger.warning("VIES gives no answer", extra={"state": state or "all"})
    VatInquiry.objects.filter(vat_id__startswith=state, state=Intent.State.WAITING, next_at__lt=until).update(
        next_at=until
    )
