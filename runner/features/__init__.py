"""Numbers computed from bars: streaming indicators."""
