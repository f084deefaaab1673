"""Owns: who we are and whom we serve: issuers, the account tree, contacts, evidence of VAT ids; files, messages,
imports and the activity record.
Does not own: what anybody owes (billing), what we claim (invoicing), what was paid (payments).
"""
