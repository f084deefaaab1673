from __future__ import annotations

from typing import Any

from django.db import models, transaction
from django.db.models import Deferrable, F, Q
from django.utils.translation import gettext_lazy as _
from mptt.managers import TreeManager
from mptt.models import MPTTModel, TreeForeignKey
from mptt.querysets import TreeQuerySet

from tenants.models.columns import sort_key
from tenants.models.issuer import LANGUAGES, DocumentFormat
from tenants.models.visibility import ANY_RIGHT, Visibility, VisibleTo
from tenants.transactions import tree_lock


class LockedTree:
    """Writes to the tree hold one lock and start from the stored tree columns, never from what this object remembers.

    The one override of ``save`` in the product: mptt corrupts a tree silently under concurrent writers.
    """

    _mptt_cached_fields: dict[str, Any]

    def save(self, *args: Any, **kwargs: Any) -> Any:
        with transaction.atomic():
            tree_lock()
            if not self._state.adding:  # type: ignore[attr-defined]
                row = (
                    type(self)
                    ._base_manager.filter(pk=self.pk)  # type: ignore[attr-defined]
                    .values("parent_id", "lft", "rght", "tree_id", "level")
                    .first()
                )
                if row:
                    if self.parent_id == self._mptt_cached_fields.get("parent"):  # type: ignore[has-type]
                        self.parent_id = row["parent_id"]  # not moved by this caller
                    self._mptt_cached_fields["parent"] = row.pop("parent_id")  # type: ignore[attr-defined]
                    for name, value in row.items():
                        setattr(self, name, value)
            if self.parent_id:
                self.parent._mptt_refresh()  # type: ignore[attr-defined]
            return super().save(*args, **kwargs)  # type: ignore[misc]

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        with transaction.atomic():
            tree_lock()
            self._mptt_refresh()  # type: ignore[attr-defined]
            return super().delete(*args, **kwargs)  # type: ignore[misc]


class TenantQuerySet(VisibleTo, TreeQuerySet):
    def active(self) -> TenantQuerySet:
        """Neither closed nor set aside: runs bill them."""
        return self.filter(status=Tenant.Status.ACTIVE)

    def under(self, tenant: Tenant) -> TenantQuerySet:
        """The account or any account below it."""
        return self.filter(tree_id=tenant.tree_id, lft__gte=tenant.lft, rght__lte=tenant.rght)

    def in_scope(self, tenant: Tenant, *, with_descendants: bool) -> TenantQuerySet:
        """The account alone, or with all below it."""
        return self.under(tenant) if with_descendants else self.filter(pk=tenant.pk)


class Tenant(LockedTree, MPTTModel):
    """A customer account: a node of the account tree. An empty setting is the parent's (``tenants.responsibility``)."""

    class Kind(models.TextChoices):
        COMPANY = "company", _("company")
        BRANCH = "branch", _("branch")
        DEPARTMENT = "department", _("department")
        END_CUSTOMER = "end_customer", _("end customer")

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        SUSPENDED = "suspended", _("set aside")
        CLOSED = "closed", _("closed")

    class Collection(models.TextChoices):
        INVOICE = "invoice", _("bank transfer")
        DIRECT_DEBIT = "direct_debit", _("direct debit")
        CARD = "card", _("card")

    class Rhythm(models.TextChoices):
        DUE = "due", _("whenever something is due")
        MONTHLY = "monthly", _("once a month")
        QUARTERLY = "quarterly", _("once a quarter")

    class Consolidation(models.TextChoices):
        TOGETHER = "together", _("one document for all")
        BY_ACCOUNT = "by_account", _("a document per account")
        BY_CONTRACT = "by_contract", _("a document per contract")

    DocumentFormat = DocumentFormat

    class BuysAs(models.TextChoices):
        BUSINESS = "business", _("business")
        CONSUMER = "consumer", _("consumer")
        PUBLIC = "public", _("public body")

    reference = models.CharField(_("reference"), max_length=60, unique=True)
    name = models.CharField(_("name"), max_length=200)
    sort_name = sort_key("name")
    kind = models.CharField(_("kind"), max_length=20, choices=Kind, default=Kind.COMPANY)
    status = models.CharField(_("status"), max_length=20, choices=Status, default=Status.ACTIVE)
    parent = TreeForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="children", verbose_name=_("parent")
    )

    contracting_party = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="resells_to",
        verbose_name=_("contracting party"),
        help_text=_("The account above that is our customer in law and resells to this one."),
    )
    invoice_to = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="receives_for", verbose_name=_("invoice to")
    )
    pay_by = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="pays_for", verbose_name=_("paid by")
    )

    street = models.CharField(_("street"), max_length=200, blank=True)
    postcode = models.CharField(_("postcode"), max_length=20, blank=True)
    city = models.CharField(_("city"), max_length=100, blank=True)
    country = models.CharField(_("country"), max_length=2, blank=True)
    vat_id = models.CharField(_("VAT id"), max_length=20, blank=True)
    vat_id_valid = models.BooleanField(
        _("VAT id counts as valid"), default=False, help_text=_("By the latest check; an invalid id counts as none.")
    )
    buys_as = models.CharField(
        _("buys as"),
        max_length=10,
        choices=BuysAs,
        default=BuysAs.BUSINESS,
        db_default=BuysAs.BUSINESS,
        help_text=_("Decides about VAT."),
    )
    email = models.EmailField(_("e-mail for invoices"), blank=True)

    language = models.CharField(_("language"), max_length=2, choices=LANGUAGES, blank=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    price_class = models.PositiveSmallIntegerField(_("price class"), null=True, blank=True)
    collection = models.CharField(_("collection"), max_length=20, choices=Collection, blank=True)
    payment_days = models.PositiveSmallIntegerField(_("days to pay"), null=True, blank=True)
    auto_mail = models.BooleanField(_("send invoices by e-mail"), null=True, blank=True)
    pdf_beside_xml = models.BooleanField(
        _("PDF for reading beside the XML"),
        null=True,
        blank=True,
        help_text=_("Whether the e-mail with an XRechnung carries a PDF, too."),
    )
    time_zone = models.CharField(_("time zone"), max_length=50, blank=True)
    consolidation = models.CharField(
        _("invoices joined"), max_length=20, choices=Consolidation, blank=True, default="", db_default=""
    )
    billing_day = models.PositiveSmallIntegerField(
        _("billing day"), null=True, blank=True, help_text=_("Day of the month, 1 to 31, for new contracts.")
    )
    collection_threshold = models.DecimalField(
        _("collected from an amount of"), max_digits=19, decimal_places=4, null=True, blank=True
    )
    collection_rhythm = models.CharField(
        _("rhythm of collection"), max_length=20, choices=Rhythm, blank=True, default="", db_default=""
    )
    document_format = models.CharField(
        _("document format"), max_length=20, choices=DocumentFormat, blank=True, default="", db_default=""
    )
    leitweg_id = models.CharField(
        _("Leitweg-ID"),
        max_length=46,
        blank=True,
        default="",
        db_default="",
        help_text=_("Buyer reference of an e-invoice (EN 16931 BT-10)."),
    )
    po_number = models.CharField(
        _("PO number"),
        max_length=60,
        blank=True,
        default="",
        db_default="",
        help_text=_("Of contracts that name none of their own."),
    )
    dunning_policy = models.CharField(
        _("dunning policy"),
        max_length=100,
        blank=True,
        default="",
        db_default="",
        help_text=_("By its name; an issuer without one of that name reminds by its standard one."),
    )
    project_code = models.CharField(_("project code"), max_length=60, blank=True)
    notes = models.TextField(_("notes"), blank=True)

    visibility = Visibility(accounts=("pk",), right=ANY_RIGHT)
    objects = TreeManager.from_queryset(TenantQuerySet)()

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        permissions = [
            ("import_tenant", _("Can import accounts")),
            ("export_tenant", _("Can export accounts")),
            ("restructure_tenant", _("Can move, merge, split and close accounts")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["tree_id", "lft"], name="tenant_left_once", deferrable=Deferrable.DEFERRED),
            models.UniqueConstraint(
                fields=["tree_id", "rght"], name="tenant_right_once", deferrable=Deferrable.DEFERRED
            ),
            models.CheckConstraint(
                name="tenant_is_not_its_own_parent",
                condition=Q(parent=None) | ~Q(parent=F("id")),
                violation_error_message=_("An account cannot be its own parent."),
            ),
            models.CheckConstraint(
                name="tenant_currency_is_a_code",
                condition=Q(currency="") | Q(currency__regex=r"^[A-Z]{3}$"),
                violation_error_message=_("The currency is a code of three capital letters, such as EUR."),
            ),
            models.CheckConstraint(
                name="tenant_country_is_a_code",
                condition=Q(country="") | Q(country__regex=r"^[A-Z]{2}$"),
                violation_error_message=_("The country is a code of two capital letters, such as DE."),
            ),
            models.CheckConstraint(
                name="tenant_billing_day_in_month",
                condition=Q(billing_day=None) | Q(billing_day__gte=1, billing_day__lte=31),
                violation_error_message=_("The billing day is a day of the month, 1 to 31."),
            ),
            models.CheckConstraint(
                name="tenant_collection_threshold_is_an_amount",
                condition=Q(collection_threshold=None)
                | Q(collection_threshold__gte=0, collection_threshold__lt=10**15),
                violation_error_message=_("The amount from which is collected is zero or more."),
            ),
        ]
        indexes = [
            models.Index(models.functions.Coalesce("pay_by_id", "id"), name="tenant_payer"),
            models.Index(fields=["sort_name"], name="tenant_sort_name"),
            models.Index(fields=["reference"], name="tenant_reference_prefix", opclasses=["varchar_pattern_ops"]),
        ]

    def __str__(self) -> str:
        return f"{self.reference} {self.name}"
