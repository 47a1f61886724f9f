"""Run trading bots and keep everything they do: cheaply, completely, provably."""
