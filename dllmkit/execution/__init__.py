"""How the device's part of a step runs: eagerly, compiled, or replayed from CUDA graphs."""
