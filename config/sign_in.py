"""The form by which staff and customers sign in with a password: attempts that fail have to wait, each time longer."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.forms import AuthenticationForm as ThemedForm

from tenants import sign_in
from tenants.models import Lockout

WRONG = _("Name, password or code is wrong. Please check all that you entered; capitals matter.")


def address_of(request: HttpRequest) -> str:
    """Where a request comes from; behind a proxy of our own what that one says, which stands last."""
    forwarded = str(request.META.get("HTTP_X_FORWARDED_FOR", "")) if settings.BEHIND_PROXY else ""
    return forwarded.rpartition(",")[2].strip() or str(request.META.get("REMOTE_ADDR", ""))


class GuardedForm(AuthenticationForm):
    """Counts the attempt before it looks at the password. What was wrong is not said."""

    error_messages = {"invalid_login": WRONG, "inactive": WRONG}
    code = forms.CharField(
        label=_("Code of your authenticator"),
        required=False,
        max_length=10,
        help_text=_("Only if you have set up a second factor."),
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )

    def clean(self) -> dict[str, Any]:
        name, now = self.cleaned_data.get("username") or "", timezone.now()
        address = address_of(self.request) if self.request else ""
        try:
            sign_in.count_attempt(Lockout.Kind.ADDRESS, address, now=now)
            sign_in.count_attempt(Lockout.Kind.NAME, name, now=now)
        except sign_in.TooManyAttempts as refusal:
            raise ValidationError(str(refusal), code="wait") from refusal
        cleaned = super().clean()
        sign_in.forget_attempts(Lockout.Kind.NAME, name)
        sign_in.take_back_attempt(Lockout.Kind.ADDRESS, address)
        return dict(cleaned)

    def confirm_login_allowed(self, user: Any) -> None:
        """The right kind of user, with the code of the moment if there is a second factor."""
        super().confirm_login_allowed(user)
        if user.is_staff is not self.is_for_staff:
            raise self.get_invalid_login_error()
        if sign_in.has_second_factor(user):
            try:
                sign_in.check_code(user, self.cleaned_data.get("code", ""), now=timezone.now())
            except sign_in.WrongCode as refusal:
                raise self.get_invalid_login_error() from refusal
            except sign_in.TooManyAttempts as refusal:
                raise ValidationError(str(refusal), code="wait") from refusal

    is_for_staff = False


class StaffSignInForm(GuardedForm, ThemedForm):
    """As the admin's theme draws it."""

    is_for_staff = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].widget.attrs["class"] = self.fields["username"].widget.attrs["class"]
