"""Webhooks of providers: one file per provider, which verifies its signature and reads its events."""
