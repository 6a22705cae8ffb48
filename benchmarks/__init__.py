"""Measurements of sknic and of alternatives; run one as `python -m benchmarks.NAME` in the folder of the repository."""
