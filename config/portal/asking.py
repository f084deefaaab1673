"""Asking for a change of a contract, and cancelling it: in time at once, earlier only if staff agree."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from billing import requests
from billing.kernel.period import months_after
from billing.models import ChangeRequest, Subscription
from config.portal.doors import for_customers
from config.portal.pages import contract_of
from tenants.admin import figures
from tenants.errors import OperatorError
from tenants.transactions import acting

YEARS_AHEAD: Final = 10


class DayInput(forms.DateInput):
    """The browser's own calendar, which speaks ISO whatever the language."""

    input_type = "date"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%d")


class WishForm(forms.Form):
    wish = forms.CharField(label=_("What is to be changed?"), max_length=2000, widget=forms.Textarea(attrs={"rows": 5}))
    wanted_on = forms.DateField(label=_("From which day?"), required=False, widget=DayInput)

    def __init__(self, contract: Subscription, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.contract = contract

    def clean_wanted_on(self) -> date | None:
        wanted: date | None = self.cleaned_data["wanted_on"]
        latest = months_after(timezone.localdate(), 12 * YEARS_AHEAD)
        if wanted and not self.contract.starts_on <= wanted <= latest:
            raise forms.ValidationError(
                gettext("Please choose a day from %(first)s, the contract's first, to %(last)s.")
                % {"first": figures.day(self.contract.starts_on), "last": figures.day(latest)}
            )
        return wanted


class CancelForm(forms.Form):
    wish = forms.CharField(
        label=_("Would you tell us why?"), required=False, max_length=500, widget=forms.Textarea(attrs={"rows": 3})
    )
    last_day = forms.DateField(
        label=_("Earlier last day that you would like"),
        required=False,
        widget=DayInput,
        help_text=_("Leave it empty to cancel in time. An earlier end is a request that we decide on."),
    )


@for_customers("requests_changes")
def change(request: HttpRequest, key: int) -> HttpResponse:
    contract = contract_of(request.user, key)
    form = WishForm(contract, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            with acting(actor=request.user.get_username(), channel="portal"):
                requests.ask(contract, kind=ChangeRequest.Kind.CHANGE, by=request.user, **form.cleaned_data)
        except OperatorError as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, gettext("Your request has reached us. We will answer it."))
            return redirect("portal:contracts")
    return render(request, "portal/change.html", {"form": form, "contract": contract})


@for_customers("requests_changes")
def cancel(request: HttpRequest, key: int) -> HttpResponse:
    contract, today = contract_of(request.user, key), timezone.localdate()
    form = CancelForm(request.POST or None)
    context: dict[str, Any] = {"form": form, "contract": contract}
    try:
        last_day = requests.last_day_in_time(contract, on=today)
    except OperatorError as refusal:
        return render(request, "portal/cancel.html", context | {"refusal": str(refusal)})
    if request.method == "POST" and form.is_valid():
        earlier = form.cleaned_data["last_day"]
        try:
            with acting(actor=request.user.get_username(), channel="portal"):
                if earlier and earlier < last_day:
                    requests.ask(
                        contract,
                        kind=ChangeRequest.Kind.CANCELLATION,
                        wish=form.cleaned_data["wish"],
                        wanted_on=max(earlier, today) + timedelta(days=1),
                        by=request.user,
                    )
                    text = gettext("Your request has reached us. We will answer it.")
                else:
                    requests.cancel_in_time(
                        contract, on=today, at=timezone.now(), by=request.user, wish=form.cleaned_data["wish"]
                    )
                    text = gettext("The contract is cancelled. Its last day is %(day)s.") % {
                        "day": figures.day(last_day)
                    }
        except OperatorError as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, text)
            return redirect("portal:contracts")
    return render(request, "portal/cancel.html", context | {"last_day": figures.day(last_day)})
