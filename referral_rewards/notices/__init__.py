"""The channels for notices: letters by email, events by webhook."""
