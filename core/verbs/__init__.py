"""The verbs of `python -m core`, by what they are about. Heavy imports wait until a verb needs them."""
