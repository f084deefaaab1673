from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.models import File, Issuer
from tenants.models.issuer import LANGUAGES
from tenants.models.visibility import Visibility, VisibleQuerySet


class Letterhead(models.Model):
    """How the letters of an issuer look: logo, colour, foot. Without one they look as the product's own.

    A letter that was made keeps its look: its file is never made again.
    """

    COLOUR = "#1b4965"

    issuer = models.OneToOneField(Issuer, models.CASCADE, related_name="letterhead", verbose_name=_("issuer"))
    logo = models.ForeignKey(
        File, models.PROTECT, related_name="+", null=True, blank=True, editable=False, verbose_name=_("logo")
    )
    colour = models.CharField(
        _("colour"),
        max_length=7,
        default=COLOUR,
        help_text=_("Of headings, lines and totals; dark enough to be read on white."),
    )
    foot_1 = models.TextField(
        _("foot, first column"),
        max_length=500,
        blank=True,
        help_text=_("Empty columns show the data of the issuer: address, contact, bank, tax and register."),
    )
    foot_2 = models.TextField(_("foot, second column"), max_length=500, blank=True)
    foot_3 = models.TextField(_("foot, third column"), max_length=500, blank=True)
    foot_4 = models.TextField(_("foot, fourth column"), max_length=500, blank=True)

    visibility = Visibility(shared=True)
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("letterhead")
        verbose_name_plural = _("letterheads")
        ordering = ["issuer"]
        constraints = [
            models.CheckConstraint(
                name="letterhead_colour_is_a_code",
                condition=models.Q(colour__regex="^#[0-9a-f]{6}$"),
                violation_error_message=_("A colour is written as # and six digits from 0 to f, such as #1b4965."),
            )
        ]

    def __str__(self) -> str:
        return str(self.issuer)


class LetterText(models.Model):
    """What an issuer says in its own words on one kind of letter in one language; what is empty is said as usual."""

    class Kind(models.TextChoices):
        INVOICE = "invoice", _("invoice")
        CREDIT_NOTE = "credit_note", _("credit note")
        CANCELLATION = "cancellation", _("cancellation invoice")
        STATEMENT = "statement", _("collective statement")
        FIRST_REMINDER = "first_reminder", _("payment reminder (level 0)")
        REMINDER = "reminder", _("reminder")
        LAST_REMINDER = "last_reminder", _("final reminder")

    issuer = models.ForeignKey(Issuer, models.CASCADE, related_name="letter_texts", verbose_name=_("issuer"))
    kind = models.CharField(_("kind of letter"), max_length=20, choices=Kind, default=Kind.INVOICE)
    language = models.CharField(_("language"), max_length=2, choices=LANGUAGES, default="de")
    opening = models.TextField(_("introduction"), max_length=2000, blank=True)
    closing = models.TextField(_("closing"), max_length=2000, blank=True)
    mail_subject = models.CharField(_("subject of the e-mail"), max_length=150, blank=True)
    mail_body = models.TextField(_("text of the e-mail"), max_length=4000, blank=True)

    visibility = Visibility(shared=True)
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("text of letters")
        verbose_name_plural = _("texts of letters")
        ordering = ["issuer", "kind", "language"]
        constraints = [
            models.UniqueConstraint(
                fields=["issuer", "kind", "language"],
                name="letter_text_once",
                violation_error_message=_("The issuer has its texts for this kind of letter and language already."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ({self.get_language_display()})"
