"""The portal: what customers see of their accounts, and what they may ask for. Staff do not sign in here.

Every page has a rule (``doors``): open to everybody, or for a customer with a right of ``Access``. Every record comes
from ``visible_to``; what is not the customer's is not there (404).
"""
