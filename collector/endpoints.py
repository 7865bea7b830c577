"""Builds the endpoints of a worker on its open logs: at the start, and again whenever settings are swapped."""

from collections.abc import Callable

from collector.http.documents import RefusesAll
from collector.http.endpoint import AnyEndpoint
from collector.http.routes import Routes
from collector.http.status import UNAVAILABLE
from collector.ingest.accounts.accounts import Accounts
from collector.ingest.accounts.rejects import Rejects
from collector.ingest.dialects.cloudevents.dialect import CloudEvents
from collector.ingest.dialects.dialect import Dialect
from collector.ingest.dialects.endpoint import DialectEndpoint
from collector.ingest.dialects.relay.endpoint import RelayEndpoint
from collector.ingest.dialects.senders import Senders
from collector.ingest.dialects.settings_documents import SettingsDocumentEndpoint
from collector.ingest.dialects.table import documents_of, patterns, route_names, served
from collector.ingest.endpoint import EventEndpoint
from collector.ingest.intake import Intake
from collector.ingest.options import OptionsReader
from collector.ingest.policy.client_address import Networks
from collector.ingest.policy.dedup import Dedup
from collector.ingest.policy.origins import cors_headers
from collector.ingest.policy.properties import Registry
from collector.ingest.policy.redirect import Signer
from collector.ingest.policy.write_keys import key_digest
from collector.ingest.session import Sessions
from collector.ingest.storing.batch import Batches
from collector.ingest.storing.completion import Completion
from collector.ops.counters import CounterBlock
from collector.ops.notices import Notices
from collector.relays.logs import RelayedLogs
from collector.settings import EVENT_PATHS, RELAY_PATH, ServerSettings, Settings
from collector.shards.opening import Opened


def event_paths(server: ServerSettings) -> tuple[str, ...]:
    """The paths of the API page."""
    return (*EVENT_PATHS, *([server.alias] if server.alias else []))


def open_routes(server: ServerSettings, routes: Routes) -> None:
    """Add all routes that take events, which refuse them until the log is open."""
    dialects = served(server)
    names = [path.encode() for path in event_paths(server)]
    names += [name for dialect in dialects for name in route_names(dialect)]
    names += [document.name for dialect in dialects for document in documents_of(dialect)]
    names += [RELAY_PATH.encode()] if server.relay_keys else []
    refusal = RefusesAll(UNAVAILABLE, cors_headers(None, b"null", is_s2s=False))  # any page may read when to retry
    for name in names:
        routes.replace(name, refusal)
    for dialect in dialects:
        for name, pattern in patterns(dialect):
            routes.match(name, pattern)


class Endpoints:
    """The state that endpoints share across a swap: the logs, the accounts, and the marks of relayed logs."""

    def __init__(
        self,
        settings: Settings,
        opened: Opened,
        *,
        proxies: Networks,
        counters: CounterBlock,
        notices: Notices,
        clock: Callable[[], int],
        end_worker: Callable[[Exception], None],
    ) -> None:
        """`clock` gives Unix ms; `end_worker` is called when only a restart helps.

        Raises BadSettings if a relay key is not set.
        """
        committer = opened.shard.committer
        self._opened = opened
        self._proxies = proxies
        self._notices = notices
        self._clock = clock
        self._accounts = Accounts(counters, committer)
        self.dedup = Dedup(opened.index, committer, end_worker)
        self._relay_digests = tuple(key_digest("server.relay_keys", key) for key in settings.server.relay_keys)
        self._relays = RelayedLogs(settings.log.dir, committer, self._relay_digests, counters, clock=clock)

    def by_route(self, settings: Settings, registry: Registry) -> dict[bytes, AnyEndpoint]:
        """The endpoint of each route that these settings serve, with the properties of `registry`."""
        opened, accounts, limits = self._opened, self._accounts, settings.limits
        committer = opened.shard.committer
        opened.dead_letters.budget.properties = len(registry)
        sessions = Sessions(opened.secret, settings.session.timeout_seconds)
        rejects = Rejects(opened.dead_letters)
        batches = Batches(committer, self.dedup, rejects, accounts, sessions, limits)
        intake = Intake(committer, self.dedup, batches, accounts, sessions, limits, self._clock)
        acknowledgements, log_id = opened.shard.acknowledgements(), committer.log.log_id
        completion = Completion(batches, self.dedup, rejects, accounts, acknowledgements, log_id)

        def serve(dialect: Dialect) -> DialectEndpoint:
            senders = Senders(dialect, registry, self._proxies, self._clock)
            return DialectEndpoint(dialect, senders, intake, batches, completion, accounts, limits, self._notices)

        has_cloud_events = CloudEvents.name in settings.server.dialects
        events = EventEndpoint(
            options=OptionsReader(registry, Signer(opened.secret), self._clock),
            intake=intake,
            completion=completion,
            rejects=rejects,
            accounts=accounts,
            limits=limits,
            trusted_proxies=self._proxies,
            notices=self._notices,
            cloud_events=serve(CloudEvents()) if has_cloud_events else None,
        )
        found: dict[bytes, AnyEndpoint] = {path.encode(): events for path in event_paths(settings.server)}
        for dialect in served(settings.server):
            endpoint = serve(dialect)
            found |= dict.fromkeys(route_names(dialect), endpoint)
            found |= {
                document.name: SettingsDocumentEndpoint(document, endpoint.senders)
                for document in documents_of(dialect)
            }
        if settings.server.relay_keys:
            relay = RelayEndpoint(relays=self._relays, key_digests=self._relay_digests, limits=limits)
            found[RELAY_PATH.encode()] = relay
        return found
