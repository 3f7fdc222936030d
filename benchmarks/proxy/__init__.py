"""Brownout's fault proxy against Toxiproxy and against no proxy: `python -m benchmarks.proxy`."""
