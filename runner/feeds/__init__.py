"""Where bars come from: files, and the sample that ships with the product."""
