"""A Prometheus server beside a run: one that is there, or one of the run's own. Its answers become evidence.

What is asked of it goes through prometheus-api-client, which comes with the extra `prometheus` and is imported only
where a run asks for it.
"""
