"""The roles that come with the product, as groups: who prepares, who approves, who checks, who answers the phone."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import Group, Permission

OURS = ("tenants", "billing", "invoicing", "payments")

# Views of everything are added to each but support, whose views are named. Imports are the operator's, but for prices
# and the issuer's bank details: a file changes them no less than a form.
OPERATOR = """
    tenants.change_message tenants.change_webhookmessage tenants.change_vatinquiry
    tenants.restructure_tenant
    tenants.add_tenant tenants.change_tenant tenants.add_contact tenants.change_contact tenants.delete_contact
    billing.add_subscription billing.change_subscription billing.add_item billing.change_item billing.delete_item
    billing.add_grant billing.change_grant billing.delete_grant billing.amend_subscription
    billing.decide_changerequest
    billing.add_pricecampaign billing.change_pricecampaign billing.delete_pricecampaign
    tenants.add_notificationpreference tenants.change_notificationpreference tenants.delete_notificationpreference
    invoicing.start_billrun invoicing.discard_invoice invoicing.cancel_invoice invoicing.credit_invoice
    invoicing.offset_openitem payments.add_dispute
    payments.book_bankline payments.set_aside_bankline payments.add_payment
    payments.start_dunningrun payments.add_dunningblock payments.change_dunningblock payments.delete_dunningblock
    tenants.add_mandate tenants.revoke_mandate payments.add_paymentrun payments.add_transfer
    payments.add_collectionblock payments.change_collectionblock payments.delete_collectionblock
    payments.retire_paymentmethod payments.request_providerrefund payments.release_eventhandling
"""
APPROVER = """
    billing.add_product billing.change_product billing.add_priceclass billing.change_priceclass
    billing.add_price billing.change_price billing.delete_price billing.add_tier billing.change_tier billing.delete_tier
    billing.add_discount billing.change_discount billing.apply_pricecampaign
    billing.add_application billing.change_application billing.add_meter billing.change_meter
    billing.add_usagesource billing.change_usagesource billing.issue_usagetoken
    invoicing.release_invoice invoicing.issue_invoice invoicing.discard_invoice invoicing.change_ledgeraccount
    invoicing.add_taxrule invoicing.change_taxrule invoicing.add_taxrate invoicing.change_taxrate
    invoicing.add_exchangerate invoicing.change_exchangerate invoicing.import_exchangerate
    invoicing.add_letterhead invoicing.change_letterhead
    invoicing.add_lettertext invoicing.change_lettertext invoicing.delete_lettertext
    invoicing.cancel_invoice invoicing.credit_invoice invoicing.offset_openitem tenants.decide_approval
    payments.add_dispute payments.resolve_dispute
    payments.add_bankaccount payments.change_bankaccount payments.write_off_bankline
    payments.add_dunningpolicy payments.change_dunningpolicy
    payments.add_dunninglevel payments.change_dunninglevel payments.delete_dunninglevel
    tenants.change_issuer tenants.add_webhookendpoint tenants.change_webhookendpoint
    tenants.import_issuer billing.import_product
    tenants.add_creditor tenants.change_creditor tenants.approve_mandate payments.release_paymentrun
    payments.add_provideraccount payments.change_provideraccount payments.approve_providerrefund
    payments.request_providerrefund payments.release_eventhandling
    payments.confirm_providerpayout payments.explain_providerfinding
"""
SUPPORT = """
    tenants.view_tenant tenants.view_contact tenants.view_message tenants.view_vatcheck
    billing.view_subscription billing.view_item billing.view_grant billing.view_product billing.view_price
    billing.view_tier billing.view_priceclass billing.view_discount billing.view_charge billing.view_changerequest
    billing.view_application billing.view_meter billing.view_usageevent billing.view_usagetotal
    invoicing.view_invoice invoicing.view_line invoicing.view_vatshare invoicing.view_delivery invoicing.view_openitem
    payments.view_letter payments.view_reminder payments.view_letterdelivery payments.view_dunningblock
    payments.view_collection payments.view_paymentmethod tenants.view_mandate payments.view_collectionblock
    payments.view_transfer
"""


def ensure_roles(using: str, *, reset: bool = False) -> list[str]:
    """Make the groups that are missing, with their permissions; with ``reset`` set all right. Names those touched.

    A group that exists is its administrator's and left alone otherwise.
    """
    held = Permission.objects.using(using).filter(content_type__app_label__in=OURS).select_related("content_type")
    known = {f"{permission.content_type.app_label}.{permission.codename}": permission for permission in held}
    views = [name for name in known if name.partition(".")[2].startswith("view_")]
    imports = [name for name in known if name.partition(".")[2].startswith("import_") and name not in APPROVER.split()]
    exports = [name for name in known if name.partition(".")[2].startswith("export_")]
    wanted: dict[str, Iterable[str]] = {
        "operator": [*views, *imports, *exports, *OPERATOR.split()],
        "approver": [*views, *exports, *APPROVER.split()],
        "auditor": [*views, *exports],
        "support": SUPPORT.split(),
    }
    touched = []
    for name, permissions in wanted.items():
        group, is_new = Group.objects.using(using).get_or_create(name=name)
        if is_new or reset:
            group.permissions.set([known[permission] for permission in permissions if permission in known])
            touched.append(name)
    return touched
