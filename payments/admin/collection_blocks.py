"""Of whom, or of which document, nothing is collected."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from payments.models import CollectionBlock
from tenants.admin import figures
from tenants.admin.base import MasterAdmin
from tenants.admin.scope import AccountScoped


@admin.register(CollectionBlock)
class CollectionBlockAdmin(AccountScoped, MasterAdmin):
    """Of whom, or of what, nothing is collected. Ended, it is collected again: of a returned debit, too."""

    scope_accounts = ("tenant", "open_item__payer")
    list_display = ["blocked", "reason", "after", "starts_on", "ends_before"]
    list_select_related = ["tenant", "open_item__invoice", "after_return"]
    search_accounts = ("tenant", "open_item__payer")
    search_fields = ["open_item__invoice__number__startswith"]
    autocomplete_fields = ["tenant", "open_item"]
    fields = [("tenant", "open_item"), "reason", ("starts_on", "ends_before")]

    @display(description=_("payer or document"))
    def blocked(self, block: CollectionBlock) -> str:
        return str(block.tenant or block.open_item)

    @display(description=_("returned payment"))
    def after(self, block: CollectionBlock) -> str:
        return block.after_return.reason_code if block.after_return else figures.EMPTY
