from tenants.models.access import Access, NotificationPreference, StaffScope
from tenants.models.activity import Activity
from tenants.models.approval import Approval
from tenants.models.file import File
from tenants.models.imports import ImportBatch, ImportRow
from tenants.models.intent import Intent
from tenants.models.issuer import Issuer
from tenants.models.mandate import Creditor, Mandate, MandateAccount
from tenants.models.message import Message, MessageAttachment
from tenants.models.people import Contact
from tenants.models.sign_in import Lockout, SecondFactor, SignInLink
from tenants.models.tenant import LockedTree, Tenant
from tenants.models.tree_change import TreeChange
from tenants.models.vat_check import VatCheck, VatInquiry
from tenants.models.webhook import WebhookAttempt, WebhookEndpoint, WebhookEvent, WebhookMessage

__all__ = [
    "Access",
    "Activity",
    "Approval",
    "Contact",
    "Creditor",
    "File",
    "ImportBatch",
    "ImportRow",
    "Intent",
    "Issuer",
    "LockedTree",
    "Lockout",
    "Mandate",
    "MandateAccount",
    "Message",
    "MessageAttachment",
    "NotificationPreference",
    "SecondFactor",
    "SignInLink",
    "StaffScope",
    "Tenant",
    "TreeChange",
    "VatCheck",
    "VatInquiry",
    "WebhookAttempt",
    "WebhookEndpoint",
    "WebhookEvent",
    "WebhookMessage",
]
