"""What an operator does to a Kafka: makes topics and users' rights."""

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

_SECONDS = 30.0


def make_topic(address: str, name: str, partitions: int = 1, **settings: str) -> None:
    """Make a topic; `max_message_bytes="…"` sets max.message.bytes."""
    config = {setting.replace("_", "."): value for setting, value in settings.items()}
    topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=config)
    admin = _admin(address)  # what it is asked ends with it
    admin.create_topics([topic], operation_timeout=_SECONDS)[name].result(_SECONDS)


def grant(address: str, user: str, kind: str, name: str, *operations: str) -> None:
    """Let a user do these to a `topic`, a `transactional_id`, or a `group` whose name begins so."""
    rights = [_right(user, kind, name, operation) for operation in operations]
    admin = _admin(address)
    for done in admin.create_acls(rights).values():
        done.result(_SECONDS)


def _right(user: str, kind: str, name: str, operation: str) -> AclBinding:
    return AclBinding(
        ResourceType[kind.upper()],
        name,
        ResourcePatternType.PREFIXED,
        f"User:{user}",
        "*",
        AclOperation[operation.upper()],
        AclPermissionType.ALLOW,
    )


def _admin(address: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": address, "log_level": 0})
