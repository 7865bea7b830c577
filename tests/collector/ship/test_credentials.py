"""Which values of a sink's options and headers are secret."""

import pytest

from collector.ship.credentials import is_secret_name, secrets_of


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "Cookie", "X-Api-Key", "x-auth-token", "X-ClickHouse-Key", "Proxy-Authorization"),
        *("sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"),
        *("secret_access_key", "aws_session_token", "azure_storage_account_key", "sas_key", "google_credentials"),
    ],
)
def test_a_name_that_tells_of_a_secret_is_one(name: str) -> None:
    assert is_secret_name(name)
    assert secrets_of(name, "Bearer abc", "Bearer abc") == ("Bearer abc", "abc")


@pytest.mark.parametrize(
    "name",
    [
        *("X-Tenant", "content-type", "user-agent", "sasl.mechanism", "sasl.username", "security.protocol"),
        *("access_key_id", "ssl.key.location", "endpoint", "region", "timeout", "keyboard", "broker.address.family"),
    ],
)
def test_any_other_name_is_not(name: str) -> None:
    assert not is_secret_name(name)
    assert secrets_of(name, "eu-west-1", "eu-west-1") == ()


def test_what_comes_from_the_environment_is_secret_whatever_its_name() -> None:
    assert secrets_of("region", "env:REGION", "eu west") == ("eu west", "west")


def test_of_a_url_only_the_password_is_secret() -> None:
    assert secrets_of("proxy_url", *["http://user:p4ss@proxy:3128/"] * 2) == ("p4ss",)
    assert secrets_of("endpoint", *["http://localhost:9000"] * 2) == ()


def test_an_empty_value_is_no_secret() -> None:
    assert secrets_of("password", "", "") == ()
