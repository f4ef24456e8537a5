"""Observers: they watch a decode without changing it."""
