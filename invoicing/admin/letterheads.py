"""How the letters of an issuer look, with a sample beside the form that follows what is entered."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldBooleanSwitchWidget

from billing.kernel.money import rounded
from invoicing import pdf
from invoicing.kernel.colours import READABLE, contrast_on_white
from invoicing.models import Letterhead
from invoicing.pdf import samples
from invoicing.pdf.logo import NotALogo, normalised
from invoicing.pdf.style import keep_logo, style, style_of
from tenants.admin import figures
from tenants.admin.base import MasterAdmin, MasterForm
from tenants.errors import OperatorError

LANGUAGES = ("de", "en")
FOOT = ["foot_1", "foot_2", "foot_3", "foot_4"]


def printable(text: str) -> str:
    """``text``, if the fonts of the documents have all its characters."""
    if missing := pdf.unprintable(text):
        raise forms.ValidationError(
            gettext("The font of the documents lacks these characters: %(characters)s"),
            params={"characters": " ".join(missing)},
        )
    return text


class LetterheadForm(MasterForm):
    """Takes a logo as a file, and refuses what could not be read on paper."""

    upload = forms.FileField(
        label=_("new logo"),
        required=False,
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": "image/png,image/jpeg"}),
        help_text=_("PNG or JPEG. It is made to fit 60 × 13 mm at the top right of the first page."),
    )
    without_logo = forms.BooleanField(label=_("without a logo"), required=False, widget=UnfoldBooleanSwitchWidget)

    class Meta:
        model = Letterhead
        fields = ["issuer", "colour", *FOOT]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "colour" in self.fields:
            self.fields["colour"].widget = forms.TextInput(attrs={"type": "color", "class": "k-input k-colour"})
        for name in FOOT:
            if name in self.fields:
                self.fields[name].widget.attrs["rows"] = 4

    def clean_upload(self) -> bytes | None:
        file = self.cleaned_data["upload"]
        try:
            return normalised(file.read()) if file else None
        except NotALogo as refusal:
            raise forms.ValidationError(str(refusal)) from refusal

    def clean_colour(self) -> str:
        colour = str(self.cleaned_data["colour"]).lower()
        try:
            contrast = contrast_on_white(colour)
        except ValueError:
            return colour  # the constraint says what a colour looks like
        if contrast < READABLE:
            raise forms.ValidationError(
                gettext(
                    "This colour is hard to read on white: its contrast is %(contrast)s : 1, and 4.5 : 1 is needed."
                ),
                params={"contrast": figures.number(rounded(contrast, 1))},
            )
        return colour

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        for name in FOOT:
            try:
                printable(self.cleaned_data.get(name, ""))
            except forms.ValidationError as error:
                self.add_error(name, error)
        return cleaned

    @property
    def logo(self) -> bytes | None:
        """The logo as it will be; ``None``: as it is."""
        return b"" if self.cleaned_data["without_logo"] else self.cleaned_data["upload"]


def shown_pdf(content: bytes) -> HttpResponse:
    response = HttpResponse(content, content_type="application/pdf")
    response["Content-Disposition"] = 'inline; filename="preview.pdf"'
    return response


def not_shown(request: HttpRequest, reasons: list[str]) -> HttpResponse:
    """What stands in the place of a preview."""
    return render(request, "invoicing/admin/no_preview.html", {"reasons": reasons})


def errors_of(form: forms.BaseForm) -> list[str]:
    """Sentences, with the label of their field."""
    return [
        f"{form.fields[name].label}: {text}" if name in form.fields else str(text)
        for name, texts in form.errors.items()
        for text in texts
    ]


class WithPreview(MasterAdmin):
    """A form with a sample beside it, drawn from what was entered without keeping any of it."""

    change_form_outer_after_template = "invoicing/admin/preview.html"

    class Media:
        css = {"all": ("invoicing/preview.css",)}
        js = ("invoicing/preview.js",)

    def may_preview(self, request: HttpRequest) -> bool:
        return self.has_add_permission(request) or self.has_change_permission(request)

    def entered(self, request: HttpRequest) -> Any:
        """The form as it was sent, for the record it is about."""
        if not self.may_preview(request):
            raise PermissionDenied
        key = request.POST.get("record", "")
        record = self.get_queryset(request).filter(pk=key).first() if key.isdecimal() and len(key) < 19 else None
        return self.get_form(request, record, change=record is not None)(request.POST, request.FILES, instance=record)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **options: Any) -> Any:
        return super().render_change_form(
            request, context | {"previews": self.previews(), "record": options.get("obj")}, *args, **options
        )

    def previews(self) -> list[dict[str, str]]:
        """Frames: name, address, label; ``values`` are the buttons that fill it, by what they send as ``language``."""
        raise NotImplementedError


@admin.register(Letterhead)
class LetterheadAdmin(WithPreview):
    form = LetterheadForm
    list_display = ["issuer", "colour", "has_logo"]
    list_select_related = ["issuer", "logo"]
    search_fields = ["issuer__name__icontains"]
    fieldsets = [
        (None, {"fields": ["issuer", "colour", "upload", "without_logo"]}),
        (_("Foot"), {"fields": FOOT}),
    ]

    @admin.display(description=_("logo"), boolean=True)
    def has_logo(self, head: Letterhead) -> bool:
        return head.logo_id is not None

    def get_readonly_fields(self, request: HttpRequest, obj: Letterhead | None = None) -> list[str]:
        return ["issuer"] if obj else []

    def get_urls(self) -> list[URLPattern]:
        preview = path(
            "preview/", self.admin_site.admin_view(require_POST(self.preview)), name="invoicing_letterhead_preview"
        )
        return [preview, *super().get_urls()]

    def previews(self) -> list[dict[str, Any]]:
        return [{"name": "letter", "url": "admin:invoicing_letterhead_preview", "languages": LANGUAGES}]

    def preview(self, request: HttpRequest) -> HttpResponseBase:
        form = self.entered(request)
        if not form.is_valid():
            return not_shown(request, errors_of(form))
        head: Letterhead = form.instance
        language = request.POST.get("language") if request.POST.get("language") in LANGUAGES else head.issuer.language
        try:
            facts = samples.document(head.issuer, "invoice", str(language), on=timezone.localdate())
            words = style_of(head.issuer_id).words
            return shown_pdf(pdf.render(facts, style(head, words, form.logo)))
        except OperatorError as refusal:
            return not_shown(request, [str(refusal)])

    def save_model(self, request: HttpRequest, obj: Letterhead, form: Any, change: bool) -> None:
        if form.logo is not None:
            obj.logo = keep_logo(obj.issuer_id, form.logo) if form.logo else None
        super().save_model(request, obj, form, change)
