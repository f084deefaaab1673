from payments.models.reminder import DunningBlock, DunningLevel, DunningPolicy, DunningRun, Letter, Reminder

__all__ = ["DunningBlock", "DunningLevel", "DunningPolicy", "DunningRun", "Letter", "Reminder"]
