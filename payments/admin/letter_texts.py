"""What an issuer says in its own words on its letters and in its e-mails, with a sample of both beside the form."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from invoicing.admin.letterheads import WithPreview, errors_of, not_shown, printable, shown_pdf
from invoicing.kernel.letter_texts import ALLOWED, unknown
from invoicing.models import LetterText
from invoicing.pdf.style import style_of
from payments import letter_samples
from tenants.admin.base import MasterForm
from tenants.errors import OperatorError

TEXTS = ("opening", "closing", "mail_subject", "mail_body")
PRINTED = ("opening", "closing")


class LetterTextForm(MasterForm):
    """Refuses placeholders that nothing would stand for, and characters that cannot be printed."""

    class Meta:
        model = LetterText
        fields = ["issuer", "kind", "language", *TEXTS]

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        kind = self.cleaned_data.get("kind", "")
        for name in TEXTS:
            text = self.cleaned_data.get(name, "")
            if kind in ALLOWED and (strange := unknown(text, kind)):
                self.add_error(
                    name,
                    gettext("%(strange)s is no placeholder of this kind of letter. There are: %(allowed)s")
                    % {"strange": braced(strange), "allowed": braced(ALLOWED[kind])},
                )
            if name in PRINTED:
                try:
                    printable(text)
                except forms.ValidationError as error:
                    self.add_error(name, error)
        return cleaned


def braced(names: Any) -> str:
    return ", ".join(f"{{{name}}}" for name in names)


@admin.register(LetterText)
class LetterTextAdmin(WithPreview):
    form = LetterTextForm
    list_display = ["issuer", "kind", "language", "opening", "mail_subject"]
    list_filter = [("issuer", RelatedDropdownFilter), ("kind", ChoicesDropdownFilter)]
    list_select_related = ["issuer"]
    search_fields = ["issuer__name__icontains"]
    fieldsets = [
        (
            None,
            {
                "fields": ["issuer", ("kind", "language")],
                "description": _(
                    "What is empty is said as usual. {number}, {customer}, {issuer}, {issued_on}, {due_on}, {net},"
                    " {gross}, {contract} and others stand for their values."
                ),
            },
        ),
        (_("On the letter"), {"fields": ["opening", "closing"]}),
        (_("In the e-mail"), {"fields": ["mail_subject", "mail_body"]}),
    ]

    def get_urls(self) -> list[URLPattern]:
        pages = [
            path(
                f"preview/{name}/", self.admin_site.admin_view(require_POST(view)), name=f"invoicing_lettertext_{name}"
            )
            for name, view in (("letter", self.letter), ("mail", self.mail))
        ]
        return [*pages, *super().get_urls()]

    def previews(self) -> list[dict[str, Any]]:
        return [{"name": name, "url": f"admin:invoicing_lettertext_{name}"} for name in ("letter", "mail")]

    def letter(self, request: HttpRequest) -> HttpResponseBase:
        return self.sample(request, lambda sample: shown_pdf(sample.pdf()))

    def mail(self, request: HttpRequest) -> HttpResponseBase:
        def shown(sample: letter_samples.Sample) -> HttpResponseBase:
            subject, body = sample.mail()
            return render(request, "invoicing/admin/mail_preview.html", {"subject": subject, "body": body})

        return self.sample(request, shown)

    def sample(self, request: HttpRequest, show: Any) -> HttpResponseBase:
        form = self.entered(request)
        if not form.is_valid():
            return not_shown(request, errors_of(form))
        text: LetterText = form.instance
        try:
            style = style_of(text.issuer_id)
            return show(letter_samples.sample(text, style, on=timezone.localdate()))  # type: ignore[no-any-return]
        except OperatorError as refusal:
            return not_shown(request, [str(refusal)])
