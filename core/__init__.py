"""Bottleneck's engine: plain Python and torch, usable from a notebook, a test or the command line."""
