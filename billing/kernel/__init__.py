"""Reckoning: what is due, for which days, at which price. Plain Python on plain values: no database, no clock, no log."""
