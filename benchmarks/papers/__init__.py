"""Published tables, made again with the code of this repository: `python -m benchmarks.papers`."""
