"""The dashboard: one page that shows every bot of a home while it trades, pushed by server-sent events."""
