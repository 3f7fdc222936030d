"""How many streamed answers a second the reference stack gives on one machine: `python -m benchmarks.stack`."""
