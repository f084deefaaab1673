"""Owns: what is settled and what is reminded of: dunning policies, levels, reminders and blocks.
Does not own: documents and open items (invoicing), why something is due (billing).
"""
