"""The front door: where customers enrol as referrers, invite friends, and see what became of it (SPEC §11 Front door).

A process of its own without authority and without money. It holds no password of the register and no key of the
product: what happens here becomes a fact through the public API, and what it shows it reads there. The control works
without it.
"""
