"""Cards and bank accounts that payers save at the provider. No number of theirs reaches us: they enter it there."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from payments.gateways import stripe_api
from payments.gateways.stripe_answers import Method, Session
from payments.models import PaymentMethod, ProviderAccount, ProviderCustomer
from payments.provider_accounts import access_of, required
from tenants.errors import OperatorError
from tenants.models import Issuer, Tenant
from tenants.transactions import acting, lock_payers


class NoAnswer(OperatorError):
    """The provider does not answer just now, or refuses."""


class NotYours(OperatorError):
    """The method belongs to another customer than expected, or is out of use."""


def customer_of(account: ProviderAccount, payer: Tenant) -> ProviderCustomer:
    """The payer as the provider knows it, made there if need be; called outside of a transaction.

    The key of the call names both, so that two callers get the same customer. Raises ``NoAnswer``.
    """
    found = ProviderCustomer.objects.filter(account=account, tenant=payer).first()
    if found is not None:
        return found
    try:
        external = stripe_api.open_customer(
            access_of(account),
            key=f"kontor-customer-{account.pk}-{payer.pk}-{account.created_at:%Y%m%d%H%M%S}",
            name=payer.name,
            email=payer.email,
            reference=payer.reference,
        )
    except stripe_api.Silent as error:
        raise no_answer() from error
    try:
        with transaction.atomic():
            return ProviderCustomer.objects.create(account=account, tenant=payer, external_id=external)
    except IntegrityError:  # somebody else was quicker, with the same answer or an older one
        return ProviderCustomer.objects.get(account=account, tenant=payer)


def no_answer() -> NoAnswer:
    return NoAnswer(_("The payment provider does not answer just now. Nothing was charged; please try again later."))


def start(issuer: Issuer, payer: Tenant, *, back: str, language: str) -> Session:
    """A page of the provider's where the payer saves a method; it is stored when the provider says so.

    ``back`` is the address of the page that the payer comes from. Raises ``NoAccess`` or ``NoAnswer``.
    """
    account = required(issuer)
    customer = customer_of(account, payer)
    try:
        return stripe_api.setup_page(
            access_of(account),
            key=f"ks-{uuid.uuid4().hex}",  # saving moves no money: each page may be another one
            customer=customer.external_id,
            currency=payer.currency or issuer.currency,
            back=back,
            language=language,
        )
    except stripe_api.Silent as error:
        raise no_answer() from error


@transaction.atomic
def keep(customer: ProviderCustomer, method: Method) -> PaymentMethod:
    """Store a method that the payer saved; it becomes the standard. A second time finds it. Raises ``NotYours``."""
    lock_payers([customer.tenant_id])
    if method.customer != customer.external_id:
        raise NotYours(_("The payment method belongs to another customer at the provider."))
    found = PaymentMethod.objects.filter(customer=customer, external_id=method.id).first()
    if found is not None:
        return found
    month, year = method.expires or (None, None)
    PaymentMethod.objects.filter(customer=customer, is_default=True).update(is_default=False)
    return PaymentMethod.objects.create(
        customer=customer,
        external_id=method.id,
        kind=method.kind if method.kind in PaymentMethod.Kind.values else PaymentMethod.Kind.OTHER,
        brand=method.brand,
        last4=method.last4,
        expires_month=month,
        expires_year=year,
        is_default=True,
    )


@transaction.atomic
def make_default(method: PaymentMethod) -> None:
    """Take what is due by this method from now on. Raises ``NotYours``."""
    lock_payers([method.customer.tenant_id])
    fresh = PaymentMethod.objects.select_for_update().get(pk=method.pk)
    if not fresh.is_active:
        raise NotYours(_("This payment method is out of use."))
    PaymentMethod.objects.filter(customer=fresh.customer_id, is_default=True).exclude(pk=fresh.pk).update(
        is_default=False
    )
    PaymentMethod.objects.filter(pk=fresh.pk).update(is_default=True)


def retire(method: PaymentMethod, *, by: Any, channel: str) -> None:
    """Take a method out of use, here at once, and at the provider; the latest of the others becomes the standard.

    It stays out of use here even if the provider does not answer: nothing is taken by it any more.
    """
    with acting(actor=by.get_username(), channel=channel):
        lock_payers([method.customer.tenant_id])
        PaymentMethod.objects.filter(pk=method.pk).update(is_active=False, is_default=False)
        others = PaymentMethod.objects.filter(customer=method.customer_id, is_active=True)
        following = others.order_by("-id").first()
        if following and not others.filter(is_default=True).exists():
            PaymentMethod.objects.filter(pk=following.pk).update(is_default=True)
    try:
        stripe_api.forget_method(
            access_of(method.customer.account), method.external_id, key=f"kontor-forget-{method.pk}"
        )
    except stripe_api.Refused:
        return  # it is forgotten there already
    except stripe_api.Silent as error:
        raise NoAnswer(
            _("The payment method is out of use here. The payment provider did not answer and may still keep it.")
        ) from error


@transaction.atomic
def forgotten(account: ProviderAccount, external_id: str) -> bool:
    """The provider says that a method is gone: it is out of use here, too. Whether that is news."""
    found = PaymentMethod.objects.filter(customer__account=account, external_id=external_id, is_active=True).first()
    if found is None:
        return False
    lock_payers([found.customer.tenant_id])
    PaymentMethod.objects.filter(pk=found.pk).update(is_active=False, is_default=False)
    return True


def default_of(account: ProviderAccount, payer: int) -> PaymentMethod | None:
    """The method by which a payer (key) is charged."""
    return (
        PaymentMethod.objects.filter(customer__account=account, customer__tenant=payer, is_default=True, is_active=True)
        .select_related("customer")
        .first()
    )


@transaction.atomic
def renew(account: ProviderAccount, method: Method) -> bool:
    """Note what the provider knows anew of a saved method, such as the next card. Whether that is news."""
    month, year = method.expires or (None, None)
    found = PaymentMethod.objects.filter(customer__account=account, external_id=method.id)
    facts = {"brand": method.brand, "last4": method.last4, "expires_month": month, "expires_year": year}
    return bool(found.exclude(**facts).update(**facts)) if month else False
