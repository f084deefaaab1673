"""Setting up a second factor: the same steps for staff in the admin and for customers in the portal."""

from __future__ import annotations

from typing import Any

import segno
from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import INPUT_CLASSES

from config.sessions import keep_session
from tenants import sign_in
from tenants.errors import OperatorError
from tenants.transactions import acting


class CodeForm(forms.Form):
    code = forms.CharField(
        label=_("Code of your authenticator"),
        max_length=10,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )


def work(request: HttpRequest, *, channel: str) -> HttpResponseRedirect | dict[str, Any]:
    """One step of setting it up or giving it up: what the page shows, or where to go when something was done."""
    user, form = request.user, CodeForm(request.POST or None)
    in_use = sign_in.has_second_factor(user)
    if request.method == "POST" and form.is_valid():
        code, now = form.cleaned_data["code"], timezone.now()
        try:
            if in_use:
                sign_in.check_code(user, code, now=now)  # counted also where it is wrong: no transaction around it
            with acting(actor=user.get_username(), channel=channel):
                if in_use:
                    sign_in.drop_second_factor(user)
                else:
                    sign_in.confirm_second_factor(user, code, now=now)
        except OperatorError as refusal:
            form.add_error("code", str(refusal))
        else:
            keep_session(request)
            done = gettext("The second factor is given up.") if in_use else gettext("The second factor is in use.")
            messages.success(request, done)
            return redirect(request.path)
    shown: dict[str, Any] = {"form": form, "in_use": in_use}
    if not in_use:
        secret, address = sign_in.begin_second_factor(user, issuer="Kontor")
        shown |= {"secret": " ".join(secret[i : i + 4] for i in range(0, len(secret), 4)), "drawing": drawing(address)}
    return shown


def drawing(address: str) -> SafeString:
    """A QR code as SVG, black on white in any theme."""
    code = segno.make(address, error="m")
    return mark_safe(code.svg_inline(scale=5, border=3, dark="#000", light="#fff", omitsize=False))


def staff_page(request: HttpRequest) -> HttpResponse:
    shown = work(request, channel="admin")
    if isinstance(shown, HttpResponseRedirect):
        return shown
    shown["form"].fields["code"].widget.attrs["class"] = " ".join(INPUT_CLASSES)
    context = {**admin.site.each_context(request), "title": gettext("Second factor"), **shown}
    return TemplateResponse(request, "admin/second_factor.html", context)
