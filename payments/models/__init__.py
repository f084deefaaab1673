from payments.models.bank import (
    BankAccount,
    BankLine,
    BankStatement,
    LineBooking,
    LineSetAside,
    MatchProposal,
)
from payments.models.collection import Collection, CollectionItem, CollectionMethod, PaymentRun
from payments.models.debit import CollectionBlock, Debit, LeftOut, Transfer
from payments.models.dispute import Dispute
from payments.models.payment import Allocation, Payment, PaymentReturn, Refund
from payments.models.provider import (
    EventHandling,
    PaymentMethod,
    ProviderAccount,
    ProviderCustomer,
    ProviderEvent,
    ProviderFinding,
    ProviderOrder,
    ProviderPayout,
)
from payments.models.reminder import (
    DunningBlock,
    DunningLevel,
    DunningPolicy,
    DunningRun,
    Letter,
    LetterDelivery,
    Reminder,
)

__all__ = [
    "Allocation",
    "BankAccount",
    "BankLine",
    "BankStatement",
    "Collection",
    "CollectionBlock",
    "CollectionItem",
    "CollectionMethod",
    "Debit",
    "Dispute",
    "DunningBlock",
    "DunningLevel",
    "DunningPolicy",
    "DunningRun",
    "EventHandling",
    "LeftOut",
    "Letter",
    "LetterDelivery",
    "LineBooking",
    "LineSetAside",
    "MatchProposal",
    "Payment",
    "PaymentMethod",
    "PaymentReturn",
    "PaymentRun",
    "ProviderAccount",
    "ProviderCustomer",
    "ProviderEvent",
    "ProviderFinding",
    "ProviderOrder",
    "ProviderPayout",
    "Refund",
    "Reminder",
    "Transfer",
]
