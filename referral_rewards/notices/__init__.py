"""Telling others: letters by email, events by webhook."""
