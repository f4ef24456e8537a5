"""Comparison: several recipes on the same problems, and the report that shows them beside one another."""
