"""Persons: what is kept of one, and when it can be erased."""
