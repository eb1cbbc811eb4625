"""Sandboxes on loopback that behave as the providers document, for demonstrations and tests."""
