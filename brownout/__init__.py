"""Brownout: chaos engineering and failure injection for RAG and LLM-inference stacks."""

__version__ = "0.1.0"
__all__ = ["__version__"]
