"""Brokers take orders and answer with fills: the same surface on paper and live."""
