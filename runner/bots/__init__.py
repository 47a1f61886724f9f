"""Bots: bars in; strategy, risk limits and broker in between; records out."""
