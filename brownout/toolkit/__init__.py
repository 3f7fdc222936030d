"""Brownout as an extension of the Chaos Toolkit: compiling to its experiments, and being driven by its engine."""
