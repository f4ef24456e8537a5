"""Evaluation: tasks, matchers, statistics, and the run of a recipe over a task."""
