"""Signing in by password or by a link sent by e-mail, signing out, and the second factor."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from config import second_factor
from config.portal.doors import for_customers, is_customer, next_page, open_to_all
from config.sign_in import GuardedForm, address_of
from tenants import sign_in
from tenants.models import Lockout
from tenants.transactions import wake

BACKEND = "django.contrib.auth.backends.ModelBackend"


class LinkForm(forms.Form):
    email = forms.EmailField(label=_("Your e-mail address"), widget=forms.EmailInput(attrs={"autocomplete": "email"}))


class RedeemForm(forms.Form):
    code = forms.CharField(
        label=_("Code of your authenticator"),
        required=False,
        max_length=10,
        help_text=_("Only if you have set up a second factor."),
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )


@open_to_all
def sign_in_page(request: HttpRequest) -> HttpResponse:
    if is_customer(request.user):
        return redirect(next_page(request))
    form = GuardedForm(request, request.POST or None)
    if request.method == "POST" and form.is_valid():
        login(request, form.get_user(), BACKEND)
        return redirect(next_page(request))
    return render(request, "portal/sign_in.html", {"form": form, "next": next_page(request)})


@open_to_all
def link_page(request: HttpRequest) -> HttpResponse:
    """Says the same whether the address is known or not, and takes the same time: a worker looks and sends."""
    form = LinkForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        email, now = form.cleaned_data["email"], timezone.now()
        try:
            sign_in.count_attempt(Lockout.Kind.ADDRESS, address_of(request), now=now)
            sign_in.count_attempt(Lockout.Kind.LINK, email, now=now)
        except sign_in.TooManyAttempts as refusal:
            form.add_error(None, str(refusal))
        else:
            user = sign_in.customer_of(email)
            wake(
                "tenants.send_sign_in_link",
                user_id=user.pk if user else 0,
                page=request.build_absolute_uri(reverse("portal:link")),
                language=get_language() or "de",
            )
            return render(request, "portal/link_sent.html", {"minutes": sign_in.LINK_LIVES.seconds // 60})
    return render(request, "portal/link.html", {"form": form})


@open_to_all
def redeem_page(request: HttpRequest, token: str) -> HttpResponse:
    """A button, because programs that look through mail follow links by themselves; and the code, if there is one."""
    now = timezone.now()
    user = sign_in.holder_of(token, now=now)
    if user is None:
        return render(request, "portal/link_over.html", status=410)
    form = RedeemForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            if sign_in.has_second_factor(user):
                sign_in.check_code(user, form.cleaned_data["code"], now=now)
        except (sign_in.WrongCode, sign_in.TooManyAttempts) as refusal:
            form.add_error("code", str(refusal))
        else:
            user = sign_in.redeem(token, now=now)
            if user is None:
                return render(request, "portal/link_over.html", status=410)
            login(request, user, BACKEND)
            return redirect("portal:overview")
    return render(request, "portal/redeem.html", {"form": form})


@open_to_all
def sign_out(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    logout(request)
    return redirect("portal:sign_in")


@for_customers()
def security(request: HttpRequest) -> HttpResponse:
    shown: Any = second_factor.work(request, channel="portal")
    if isinstance(shown, HttpResponseRedirect):
        return shown
    return render(request, "portal/security.html", shown)
