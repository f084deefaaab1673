"""Take in what was used: each event once, on its day, folded into the totals by the transaction that takes it in."""

from billing.metering.ageing import KeptForTenYears, age_out
from billing.metering.assigning import assign
from billing.metering.events import Event, FromJson
from billing.metering.intake import Intake, Outcome, make_months, take_in

__all__ = ["Event", "FromJson", "Intake", "KeptForTenYears", "Outcome", "age_out", "assign", "make_months", "take_in"]
