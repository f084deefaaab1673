from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tenants.models.visibility import Visibility, VisibleQuerySet


class Verdict(models.Model):
    """What the rules of EN 16931 and XRechnung say of a draft's e-invoice, before it has a number.

    It holds for everything whose content has this hash, format and parties included, and for this version of the rules.
    ``findings`` names each broken rule, the field it speaks of, and what it says.
    """

    content_hash = models.CharField(_("hash of the content"), max_length=64)
    rules = models.CharField(_("version of the rules"), max_length=60)
    passed = models.BooleanField(_("passed"))
    findings = models.JSONField(_("findings"), default=list, blank=True)
    reached_at = models.DateTimeField(_("reached at"), db_default=Now())

    visibility = Visibility()
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("verdict")
        verbose_name_plural = _("verdicts")
        constraints = [
            models.UniqueConstraint(fields=["content_hash", "rules"], name="verdict_once_per_content_and_rules"),
            models.CheckConstraint(
                name="verdict_says_what_is_wrong",
                condition=Q(passed=True, findings=[]) | Q(passed=False) & ~Q(findings=[]),
            ),
        ]

    def __str__(self) -> str:
        return str(_("passed") if self.passed else _("not passed"))
