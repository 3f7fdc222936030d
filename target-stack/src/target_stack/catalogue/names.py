"""What the stack's dependencies are called: in settings, breakers, metrics and events alike."""

__all__ = ["DEPENDENCIES", "PROVIDERS", "REPLICAS", "TERTIARY"]

PROVIDERS = ("llm-primary", "llm-secondary", "llm-tertiary")
TERTIARY = PROVIDERS[-1]
"""The provider that is there only where the settings want it."""
REPLICAS = ("inference-1", "inference-2")
"""The inference workers, where the main model is self-hosted."""
DEPENDENCIES = ("vector-db", "cache", "embedding", *PROVIDERS, *REPLICAS)
