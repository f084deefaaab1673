"""Owns: what tenants owe: catalog, prices, contracts, discounts, and the charges that follow from them.
Does not own: documents and their VAT (invoicing), whether anything was paid (payments).
"""
