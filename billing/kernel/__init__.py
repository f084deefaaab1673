"""Reckoning: what is due, for which days, at which price. Plain Python: no database, no clock, no log."""
