"""Sweeps: a recipe over a grid of values, as independent jobs on one machine or many."""
