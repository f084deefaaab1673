"""Take in what was used: each event once, on its day, folded into the totals by the transaction that takes it in."""

from billing.metering.assigning import assign
from billing.metering.events import Event, FromJson
from billing.metering.intake import Intake, Outcome, take_in

__all__ = ["Event", "FromJson", "Intake", "Outcome", "assign", "take_in"]
