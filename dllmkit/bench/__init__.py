"""Measuring decoding: the same prompts through several recipes, beside the limit of the machine."""
