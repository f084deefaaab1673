"""Reckoning about payments and reminders: plain Python, no database, no clock."""
