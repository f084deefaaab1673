from tenants.models.activity import Activity
from tenants.models.file import File
from tenants.models.imports import ImportBatch, ImportRow
from tenants.models.intent import Intent
from tenants.models.issuer import Issuer
from tenants.models.message import Message
from tenants.models.people import Contact
from tenants.models.tenant import LockedTree, Tenant
from tenants.models.vat_check import VatCheck

__all__ = [
    "Activity",
    "Contact",
    "File",
    "ImportBatch",
    "ImportRow",
    "Intent",
    "Issuer",
    "LockedTree",
    "Message",
    "Tenant",
    "VatCheck",
]
