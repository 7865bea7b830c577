"""Builds the endpoints of a worker on its open logs: at the start, and again whenever settings are swapped."""

from collections.abc import Callable

from collector.ingest.accounts import Accounts
from collector.ingest.batch import Batches
from collector.ingest.completion import Completion
from collector.ingest.dialects.relay import RelayEndpoint
from collector.ingest.endpoint import EventEndpoint
from collector.ingest.intake import Intake
from collector.ingest.options import OptionsReader
from collector.ingest.policy.client_address import Networks
from collector.ingest.policy.properties import Registry
from collector.ingest.policy.redirect import Signer
from collector.ingest.policy.write_keys import key_digest
from collector.ingest.rejects import Rejects
from collector.ingest.session import Sessions
from collector.ops.counters import CounterBlock
from collector.ops.notices import Notices
from collector.relays.logs import RelayedLogs
from collector.settings import Settings
from collector.shards.opening import Opened


class Endpoints:
    """What endpoints share, before and after a swap: the logs, the accounts, and the marks of relayed logs."""

    def __init__(
        self,
        settings: Settings,
        opened: Opened,
        *,
        proxies: Networks,
        counters: CounterBlock,
        notices: Notices,
        clock: Callable[[], int],
    ) -> None:
        """`clock` gives Unix ms. Raises BadSettings if a relay key is not set."""
        committer = opened.shard.committer
        self._opened = opened
        self._proxies = proxies
        self._notices = notices
        self._clock = clock
        self._accounts = Accounts(counters, committer)
        self._relay_digests = tuple(key_digest("server.relay_keys", key) for key in settings.server.relay_keys)
        self._relays = RelayedLogs(settings.log.dir, committer, self._relay_digests, counters, clock=clock)

    def events(self, settings: Settings, registry: Registry) -> EventEndpoint:
        """The endpoint of events, with the properties of `registry`."""
        opened, accounts, limits = self._opened, self._accounts, settings.limits
        committer = opened.shard.committer
        opened.dead_letters.budget.properties = len(registry)
        sessions = Sessions(opened.secret, settings.session.timeout_seconds)
        rejects = Rejects(opened.dead_letters)
        batches = Batches(committer, rejects, accounts, sessions, limits)
        return EventEndpoint(
            options=OptionsReader(registry, Signer(opened.secret), self._clock),
            intake=Intake(committer, batches, accounts, sessions, limits, self._clock),
            completion=Completion(batches, rejects, accounts, opened.shard.acknowledgements()),
            rejects=rejects,
            accounts=accounts,
            limits=limits,
            trusted_proxies=self._proxies,
            notices=self._notices,
        )

    def relay(self, settings: Settings) -> RelayEndpoint:
        """The endpoint for the logs of other nodes."""
        return RelayEndpoint(relays=self._relays, key_digests=self._relay_digests, limits=settings.limits)
