"""The settings of an installation, one file per subject."""
