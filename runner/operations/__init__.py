"""What is done to records after they were archived: export to the warehouse, search."""
