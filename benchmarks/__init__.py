"""Measurements of sknic and its rivals; run one as `python -m benchmarks.NAME` in the folder of the repository."""
