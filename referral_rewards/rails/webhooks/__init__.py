"""What providers tell of by themselves: one file a provider, its signature and what its events are about."""
