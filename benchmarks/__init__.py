"""Measurements: `python -m benchmarks.<name>`. They print ratios against something else measured in the same minutes."""
