"""`make demo`: runs example referrals through the real system and compares each with a hand-written expectation."""
