"""What the statement saw that read the grounds of a claim or a payment, kept for the row that records it.

A transaction's number says when it began to write, and not what was committed when it read. A trigger (`note_sight` in
``models/migrations/initial/positions.sql``) puts the sight into the row, and an audit compares with it.
"""

from typing import Final

#: A column of a statement that reads grounds. The first such statement of a transaction says what it saw: what a later
#: one saw beyond that is held against nobody.
SIGHT: Final = """set_config('referrals.sight', coalesce(
    nullif(current_setting('referrals.sight', true), ''), CAST(register_sight() AS text)
), true) AS sight"""
