"""Cloud Functions, second generation: one file a function. Each parses the request, calls `runner`, and answers."""
