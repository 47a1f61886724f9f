"""Stores: one protocol a purpose (`base`), one file a backend, no policy. `open` turns a URL into an adapter."""
