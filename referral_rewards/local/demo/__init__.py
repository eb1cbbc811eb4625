"""`make demo`: a cast of referrals lives through the real system, and each must come to what was written by hand."""
