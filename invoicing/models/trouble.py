from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from tenants.models.visibility import Visibility, VisibleQuerySet


class PrintTrouble(models.Model):
    """What could not be printed, documents and letters alike, and when it is tried again: what is issued cannot say it.

    ``table`` and ``row`` name the record. That it was printed after all is seen from its file.
    """

    table = models.CharField(_("record"), max_length=63)
    row = models.BigIntegerField(_("key"))
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=1)
    next_at = models.DateTimeField(_("next attempt"))
    reason = models.TextField(_("reason"), blank=True)

    visibility = Visibility()
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("trouble with printing")
        verbose_name_plural = _("troubles with printing")
        constraints = [models.UniqueConstraint(fields=["table", "row"], name="print_trouble_once_per_record")]

    def __str__(self) -> str:
        return f"{self.table} {self.row}"
