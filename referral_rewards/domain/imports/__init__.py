"""Imports: rows that another referral tool exported, translated to facts."""
