"""What moved: the books, the provider's receipts and the chain of decisions, read by the audit's own code (SPEC §8)."""
