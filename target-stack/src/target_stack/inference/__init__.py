"""A self-hosted model: an inference worker that batches continuously over a paged KV cache."""

from target_stack.inference.worker import serve

__all__ = ["serve"]
