from payments.models.reminder import (
    DunningBlock,
    DunningLevel,
    DunningPolicy,
    DunningRun,
    Letter,
    LetterDelivery,
    Reminder,
)

__all__ = ["DunningBlock", "DunningLevel", "DunningPolicy", "DunningRun", "Letter", "LetterDelivery", "Reminder"]
