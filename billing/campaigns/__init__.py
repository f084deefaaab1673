"""Price campaigns: new prices for running contracts, each on its own next legal date, previewed before written.

``preview`` says what a campaign would do; ``announce`` lays that down; ``apply`` writes the amendments, any number of
times and after any crash; ``withdraw`` takes back what is not in force yet. The letters are drawn by
``invoicing.price_notice``.
"""

from billing.campaigns.announcing import CampaignRefused, announce
from billing.campaigns.applying import Progress, apply, apply_a_while, progress, unfinished
from billing.campaigns.reckoning import Position, Preview, Total, preview, seal
from billing.campaigns.withdrawing import withdraw
from billing.campaigns.wording import why

__all__ = [
    "CampaignRefused",
    "Position",
    "Preview",
    "Progress",
    "Total",
    "announce",
    "apply",
    "apply_a_while",
    "preview",
    "progress",
    "seal",
    "unfinished",
    "why",
    "withdraw",
]
