"""Persons: what is kept of one, erasing it, and the keys under which it is sealed."""
