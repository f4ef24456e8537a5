"""The report of a comparison or a sweep: one HTML file that needs nothing else."""
