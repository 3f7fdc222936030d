"""Which names there are and what is wrong with them: the proxies that have a host name, and their toxics."""

from random import Random

from brownout.proxy.collection import ProxyCollection
from brownout.proxy.dns.replies import Verdict
from brownout.proxy.toxics.dns_failure import DnsFailureAttributes


class Names:
    """What a `DnsServer` asks."""

    def __init__(self, collection: ProxyCollection, rng: Random) -> None:
        self._collection = collection
        self._rng = rng

    def ask(self, host: str) -> Verdict | None:
        """What becomes of one query for that name, in lower case; None where it is nobody's."""
        proxy = self._collection.named(host)
        if proxy is None:
            return None
        proxy.counters.queries += 1
        for toxic in proxy.toxics:
            failure = toxic.attributes
            # Of queries, a toxicity is the share that it strikes.
            if isinstance(failure, DnsFailureAttributes) and self._rng.random() < toxic.toxicity:
                proxy.counters.failed_queries += 1
                return Verdict(proxy.listen.host, failure.answer, failure.delay / 1000)
        return Verdict(proxy.listen.host)
