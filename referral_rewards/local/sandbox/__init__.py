"""Providers that act like the real ones by their own documentation, on loopback: for demonstrations and for tests."""
