"""What the product costs, measured beside its peers: `python -m benchmarks [name ...]`."""
