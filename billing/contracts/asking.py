"""A change as faces ask for it, by kind of amendment and named values: one way for form, command and API."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final

from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy as _

from billing.contracts import discounts, ending, positions, renewals, responsibility, resting
from billing.contracts.writing import ChangeRefused
from billing.kernel.changes import When
from billing.kernel.moment import day_at
from billing.models import Amendment, Subscription
from tenants import responsibility as accounts

FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    Amendment.Kind.QUANTITY: positions.change_quantity,
    Amendment.Kind.PRICE: positions.change_product,
    Amendment.Kind.OVERRIDE: positions.agree_price,
    Amendment.Kind.ADD: positions.add,
    Amendment.Kind.END: positions.end,
    Amendment.Kind.DISCOUNT: discounts.grant,
    Amendment.Kind.DISCOUNT_END: discounts.end,
    Amendment.Kind.PAUSE: resting.pause,
    Amendment.Kind.RESUME: resting.resume,
    Amendment.Kind.TRIAL: resting.extend_trial,
    Amendment.Kind.ACTIVATION: resting.activate,
    Amendment.Kind.ALIGNMENT: resting.align,
    Amendment.Kind.RENEWAL: renewals.renew,
    Amendment.Kind.CANCELLATION: ending.cancel,
    Amendment.Kind.REINSTATEMENT: ending.reinstate,
    Amendment.Kind.TRANSFER: ending.transfer,
    Amendment.Kind.RESPONSIBILITY: responsibility.assign,
    Amendment.Kind.WITHDRAWAL: ending.withdraw,
}
BY_DAY_ALONE: Final = {
    Amendment.Kind.ADD,
    Amendment.Kind.PAUSE,
    Amendment.Kind.RESUME,
    Amendment.Kind.REINSTATEMENT,
    Amendment.Kind.TRANSFER,
}


def zone_of(subscription: Subscription) -> str:
    """The time zone in force for the contract's account."""
    account = subscription.tenant
    return accounts.effective([account], subscription.issuer)[account.pk].time_zone


def values_of(kind: str) -> dict[str, bool]:
    """The values that a kind of change takes, by name: whether it cannot do without."""
    parameters = inspect.signature(FUNCTIONS[kind]).parameters.values()
    return {
        parameter.name: parameter.default is parameter.empty
        for parameter in parameters
        if parameter.name not in ("subscription", "on", "reason", "by", "channel")
    }


def asked(
    subscription: Subscription,
    kind: str,
    values: Mapping[str, Any],
    *,
    on: date,
    reason: str,
    by: User | None,
    channel: str,
) -> Callable[[], Any]:
    """The change as a call to be made or previewed; values that are ``None`` count as not given.

    ``effective`` may be a moment: the change then holds from the day on that it is in the account's time zone.
    Raises ``ChangeRefused`` naming a value that is missing.
    """
    known = values_of(kind)
    given = {name: value for name, value in values.items() if name in known and value is not None}
    if isinstance(given.get("effective"), datetime):
        given["effective"] = day_at(given["effective"], zone_of(subscription))
    if kind in BY_DAY_ALONE and (given.get("effective") is When.IMMEDIATE or "effective" not in given):
        if known["effective"]:
            given["effective"] = on
        else:
            given.pop("effective", None)
    if kind in BY_DAY_ALONE and isinstance(given.get("effective"), When):
        raise ChangeRefused(_("Say the day from which the change holds."))
    for name, is_needed in known.items():
        if is_needed and name not in given:
            raise ChangeRefused(_("The value “%(name)s” is missing.") % {"name": name})
    function = FUNCTIONS[kind]
    if "on" in inspect.signature(function).parameters:
        given["on"] = on
    return lambda: function(subscription, **given, reason=reason, by=by, channel=channel)
