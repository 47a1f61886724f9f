"""Frozen values of the market: instruments, bars, signals, orders, fills, positions. No I/O."""
