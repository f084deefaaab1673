from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from tenants.models.visibility import Visibility, VisibleQuerySet


class File(models.Model):
    """Bytes kept for good below ``settings.FILES_ROOT``; its hash proves that they are still the ones we sent."""

    path = models.CharField(_("path"), max_length=300, unique=True)
    content_type = models.CharField(_("content type"), max_length=100)
    size = models.PositiveBigIntegerField(_("size"))
    sha256 = models.CharField("SHA-256", max_length=64)
    created_at = models.DateTimeField(_("created at"), db_default=Now())

    visibility = Visibility()
    objects = VisibleQuerySet.as_manager()

    class Meta:
        verbose_name = _("file")
        verbose_name_plural = _("files")

    def __str__(self) -> str:
        return self.path
