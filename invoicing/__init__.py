"""Owns: bill runs, invoices and corrections, their numbers, VAT, files and dispatch; the journal and open items.
Does not own: why something is due (billing), whether it was paid (payments).
"""
