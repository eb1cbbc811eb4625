"""A second reading of SPEC §3 to §5: plain, slow, and written from the text alone, to hold verdicts and claims against.

It shares with the code that judges the normal forms of identity, which make the marks that it compares, and nothing
else: the arithmetic of periods, the orders, the periods, the checks and the amounts are read here once more.
"""
