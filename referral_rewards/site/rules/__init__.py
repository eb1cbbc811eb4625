"""The rules of the front door, pure: no store, no clock, no chance."""
