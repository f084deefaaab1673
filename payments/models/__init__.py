from payments.models.dispute import Dispute
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
    "Dispute",
    "DunningBlock",
    "DunningLevel",
    "DunningPolicy",
    "DunningRun",
    "Letter",
    "LetterDelivery",
    "Reminder",
]
