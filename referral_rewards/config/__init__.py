"""Where an installation's settings come from, one file for each room that needs any."""
