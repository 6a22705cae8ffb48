"""The experiments of the paper; run one as `python -m benchmarks.paper.NAME`, all as `benchmarks.paper.run_all`."""
