"""The reference RAG and LLM-inference stack: a gateway, an embedding service and LLM providers, one process each.

It exists to be broken. Every part that keeps it answering (breakers, the degradation ladder, caches, failover) lives
in a module named after the pattern, and can be switched off by a setting, to prove that an experiment notices.
"""
