"""Models: families of published checkpoints, loading them, and the forward."""
