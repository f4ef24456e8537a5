"""Support for the tests of plugins and model families: random checkpoints, the conformance check, strategies, a toy model."""
