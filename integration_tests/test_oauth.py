"""OAuth 2.0: tokens are renewed once, stored at once, and a dead one says what to do."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
import yaml

from integration_tests.commands import command, quickly
from integration_tests.emulator import Emulator, Request
from integration_tests.emulator.oauth import OAuthError
from integration_tests.harness import differences
from source_backlog import SourceBacklog
from source_backlog.api.oauth import RotatingTokens

# Enough streams that every worker has one.
MANY = ["issues", "issue_comments", "statuses", "users", "projects", "categories", "wikis", "activities"]


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    return quickly(monkeypatch)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(projects=3, issues=60) as running:
        yield running


def renewals(emulator: Emulator) -> list[Request]:
    """The requests to the token endpoint."""
    return [request for request in emulator.requests if request.path.endswith("/oauth2/token")]


def expired(config: dict[str, Any]) -> dict[str, Any]:
    """The config with a stored expiry date that has passed."""
    passed = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**config, "credentials": {**config["credentials"], "token_expiry_date": passed}}


def complete(emulator: Emulator, output: Any, stream: str = "issues") -> None:
    assert (output.status, output.errors, output.stderr) == (0, [], "")
    assert differences(emulator, stream, {(row["id"],): row for row in output.rows(stream)}) == []


def test_a_valid_token_is_used_as_it_is(emulator: Emulator) -> None:
    output = command("read", emulator.oauth_config(), streams=["issues"])
    complete(emulator, output)
    assert renewals(emulator) == []
    assert output.of_type("CONTROL") == []


@pytest.mark.parametrize("known", [True, False])
def test_several_threads_never_renew_twice(emulator: Emulator, known: bool) -> None:
    """Expired before the sync, with the expiry date in the config (`known`) or only found out from a 401."""
    given = emulator.oauth_config(num_workers=8)
    emulator.oauth.expire_all()
    emulator.server.latency = 0.02
    output = command("read", expired(given) if known else given, streams=MANY)
    complete(emulator, output)
    assert len(renewals(emulator)) == 1
    assert len(output.of_type("CONTROL")) == 1
    rejected = [request for request in emulator.requests if request.status == 401]
    assert (not rejected) if known else rejected


def test_the_new_tokens_are_stored_before_anything_is_read_with_them(emulator: Emulator) -> None:
    given = expired(emulator.oauth_config(domain=f"HTTP://{emulator.address}/dashboard", start_date="2020-01-01"))
    output = command("read", given, streams=["issues"])
    complete(emulator, output)
    kinds = [message["type"] for message in output.messages]
    assert kinds.index("CONTROL") < kinds.index("RECORD")
    stored = output.stored_config
    old, new = given["credentials"], stored["credentials"]
    for token in ("access_token", "refresh_token", "token_expiry_date"):
        assert new[token] != old[token]
    assert new["token_expiry_date"] > datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert {**new, **dict.fromkeys(("access_token", "refresh_token", "token_expiry_date"))} == {
        **old,
        **dict.fromkeys(("access_token", "refresh_token", "token_expiry_date")),
    }
    # The rest of the form is as it was, and the domain is in shape.
    assert stored["start_date"] == "2020-01-01"
    assert stored["domain"] == emulator.address


@pytest.mark.parametrize("name", ["check", "discover"])
def test_check_and_discover_store_new_tokens_too(emulator: Emulator, name: str) -> None:
    given = expired(emulator.oauth_config(issue_custom_fields="columns"))
    output = command(name, given)
    assert (output.status, output.stderr) == (0, "")
    assert len(renewals(emulator)) == 1
    assert command("read", output.stored_config, streams=["myself"]).status == 0
    assert len(renewals(emulator)) == 1


def test_rotation_survives_restarts(emulator: Emulator) -> None:
    """Each sync goes on with what the last one stored; a refresh token is used once and never again."""
    given = emulator.oauth_config()
    used = []
    for _ in range(4):
        emulator.oauth.expire_all()
        output = command("read", expired(given), streams=["issues", "statuses"])
        complete(emulator, output)
        used.append(given["credentials"]["refresh_token"])
        given = output.stored_config
    sent = [re.search(r"refresh_token=([^&]+)", request.body)[1] for request in renewals(emulator)]  # type: ignore[index]
    assert sent == used
    assert len(set(sent)) == 4


@pytest.mark.parametrize("name", ["check", "read", "discover"])
def test_the_old_config_after_a_rotation_says_to_authenticate_again(emulator: Emulator, name: str) -> None:
    old = expired(emulator.oauth_config())
    complete(emulator, command("read", old, streams=["issues"]))
    emulator.clear_requests()
    # With custom fields as columns, discover asks Backlog too.
    output = command(name, {**old, "issue_custom_fields": "columns"}, streams=MANY)
    message = output.connection[1] if name == "check" else output.errors[0]["message"]
    assert message == (
        "Backlog does not accept the refresh token: it was used elsewhere, revoked, or belongs to another client. "
        "Authenticate the source again."
    )
    if name == "read":
        assert {error["failure_type"] for error in output.errors} == {"config_error"}
        assert output.status == 1
        assert not output.of_type("RECORD")
    assert len(renewals(emulator)) == 1, "a dead token is not tried by every stream"


def test_a_token_that_expires_between_pages_is_renewed_and_the_page_repeated() -> None:
    with Emulator(projects=2, archived_projects=0, issues=400) as emulator:
        given = emulator.oauth_config()
        pages = iter(range(1000))

        def expire(request: Request) -> None:
            if request.path.endswith("/issues") and next(pages) == 2:
                emulator.oauth.expire_all()

        emulator.before_request(expire)
        output = command("read", given, streams=["issues"])
        complete(emulator, output)
        assert len(renewals(emulator)) == 1
        refused = [request for request in emulator.requests if request.status == 401]
        assert refused
        for request in refused:
            again = [each for each in emulator.requests if (each.path, each.query) == (request.path, request.query)]
            assert [each.status for each in again] == [401, 200]


def test_a_token_that_expires_while_many_threads_read_is_renewed_once(emulator: Emulator) -> None:
    given = emulator.oauth_config(num_workers=8)
    emulator.server.latency = 0.01
    count = iter(range(10_000))
    lock = threading.Lock()

    def expire(request: Request) -> None:
        with lock:
            if not request.path.endswith("/oauth2/token") and next(count) in (10, 40, 70):
                emulator.oauth.expire_all()

    emulator.before_request(expire)
    output = command("read", given, streams=MANY)
    complete(emulator, output)
    assert len(renewals(emulator)) == len(output.of_type("CONTROL")) == 3
    assert output.stored_config["credentials"]["refresh_token"] in emulator.oauth._refresh


def test_a_token_that_backlog_rejects_even_when_new_is_a_config_error(emulator: Emulator) -> None:
    emulator.faults.add("/api/v2/(?!oauth2)", status=401, body="", times=None)
    output = command("read", emulator.oauth_config(), streams=["statuses", "users"])
    assert output.status == 1
    assert {error["failure_type"] for error in output.errors} == {"config_error"}
    assert output.errors[0]["message"] == (
        "Backlog does not accept the OAuth access token. Authenticate the source again."
    )
    assert len(renewals(emulator)) <= 6


def test_a_missing_right_renews_nothing(emulator: Emulator) -> None:
    emulator.space.settings.role_error_status = 401
    output = command("read", emulator.oauth_config(user="member"), streams=["users", "webhooks"])
    assert (output.status, output.errors) == (0, [])
    assert renewals(emulator) == []


@pytest.mark.parametrize(
    ("status", "body", "kind", "part"),
    [
        (503, "<html>", "transient_error", "did not renew the OAuth access token. Try again later."),
        (429, "", "transient_error", "did not renew the OAuth access token. Try again later."),
        (200, "<html>", "transient_error", "did not renew the OAuth access token. Try again later."),
        (200, {"token_type": "Bearer"}, "transient_error", "did not renew the OAuth access token. Try again later."),
        (200, {"access_token": 7}, "transient_error", "did not renew the OAuth access token. Try again later."),
        (200, ["access_token"], "transient_error", "did not renew the OAuth access token. Try again later."),
        (400, {"error": "invalid_grant"}, "config_error", "does not accept the refresh token"),
        (401, {"error": "invalid_client"}, "config_error", "does not accept the Client ID and Client Secret"),
        (400, {"error": "invalid_client"}, "config_error", "does not accept the Client ID and Client Secret"),
        (401, "", "config_error", "does not accept the Client ID and Client Secret"),
        (404, "<html>", "config_error", "does not renew OAuth tokens, as a Backlog space does. Check the space domain"),
        (302, "", "config_error", "does not renew OAuth tokens, as a Backlog space does. Check the space domain"),
    ],
)
def test_every_answer_of_the_token_endpoint(
    emulator: Emulator, status: int, body: Any, kind: str, part: str, pauses: list[float]
) -> None:
    elsewhere = {"Location": "https://evil.example.com/"}
    emulator.faults.add("/oauth2/token$", method="POST", status=status, body=body, headers=elsewhere, times=None)
    output = command("read", expired(emulator.oauth_config()), streams=["priorities"])
    assert output.status == 1
    assert part in output.errors[0]["message"]
    assert {error["failure_type"] for error in output.errors} == {kind}
    assert len(renewals(emulator)) == (3 if kind == "transient_error" else 1)
    assert sum(pauses) <= 63


def test_a_token_endpoint_that_stumbles_is_asked_again(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    real, stumbles = emulator.oauth.token, iter([True, True, False])

    def token(form: dict[str, str]) -> dict[str, object]:
        if next(stumbles):
            raise OAuthError("server_error", "Try again.", 503)
        return real(form)

    monkeypatch.setattr(emulator.oauth, "token", token)
    complete(emulator, command("read", expired(emulator.oauth_config()), streams=["issues"]))
    assert len(renewals(emulator)) == 3


def test_a_renewal_whose_answer_is_lost_asks_to_authenticate_again(emulator: Emulator) -> None:
    """The server has used up the refresh token, and the new one is gone for good: nobody can mend that in silence."""
    emulator.faults.add("/oauth2/token$", method="POST", kind="reset")
    output = command("read", expired(emulator.oauth_config()), streams=["priorities"])
    assert output.errors[0]["failure_type"] == "config_error"
    assert output.errors[0]["message"].endswith("Authenticate the source again.")


@pytest.mark.parametrize("lifetime", [None, "3600", -1, 10**30, True])
def test_an_odd_lifetime_counts_as_an_hour(emulator: Emulator, lifetime: Any) -> None:
    granted = json.dumps({**emulator.oauth.issue(), "expires_in": lifetime})
    emulator.faults.add("/oauth2/token$", method="POST", status=200, body=granted)
    output = command("read", expired(emulator.oauth_config()), streams=["priorities"])
    assert output.status == 0
    expiry = datetime.fromisoformat(output.stored_config["credentials"]["token_expiry_date"])
    assert timedelta(minutes=55) < expiry - datetime.now(UTC) < timedelta(minutes=65)


def test_a_provider_that_keeps_the_refresh_token_is_understood(emulator: Emulator) -> None:
    given = expired(emulator.oauth_config())
    granted = {name: value for name, value in emulator.oauth.issue().items() if name != "refresh_token"}
    emulator.faults.add("/oauth2/token$", method="POST", status=200, body=granted)
    stored = command("read", given, streams=["priorities"]).stored_config
    assert stored["credentials"]["refresh_token"] == given["credentials"]["refresh_token"]
    assert stored["credentials"]["access_token"] == granted["access_token"]


@pytest.mark.parametrize(
    ("expiry", "renewed"),
    [
        ("", False),
        (None, False),
        ("no date", False),
        ("2999-01-01T00:00:00Z", False),
        ("2999-01-01T00:00:00.123456+09:00", False),
        ("2020-01-01T00:00:00Z", True),
        ("2020-01-01T00:00:00+00:00", True),
        ("2020-01-01", True),
    ],
)
def test_dates_of_all_forms(emulator: Emulator, expiry: Any, renewed: bool) -> None:
    """What the platform stores after its own OAuth flow has another form than what the connector stores."""
    given = emulator.oauth_config()
    given["credentials"]["token_expiry_date"] = expiry
    assert command("read", given, streams=["priorities"]).status == 0
    assert len(renewals(emulator)) == int(renewed)


def test_the_form_works_without_airbytes_own_button(emulator: Emulator) -> None:
    """Client, secret and refresh token are enough."""
    given = emulator.oauth_config()
    del given["credentials"]["access_token"]
    assert command("check", given).connection[0] == "SUCCEEDED"
    assert len(renewals(emulator)) == 1


def test_the_tokens_of_two_streams_are_the_same_object(emulator: Emulator) -> None:
    source = SourceBacklog(config=emulator.oauth_config())
    streams: dict[str, Any] = {stream.name: stream for stream in source.streams({})}
    requesters = [
        streams["issues"].cursor.requester,
        streams["users"]._stream_partition_generator._partition_factory._retriever.requester,
    ]
    tokens = [requester.get_authenticator() for requester in requesters]
    assert all(isinstance(each, RotatingTokens) for each in tokens)
    assert len({id(each.config) for each in tokens}) == 1


# Airbyte's own OAuth button. What the platform makes of the declaration stands in its DeclarativeOAuthSpecHandler:
# https://github.com/airbytehq/airbyte-platform/tree/main/airbyte-oauth


def advanced_auth() -> dict[str, Any]:
    spec = SourceBacklog().spec(None)  # type: ignore[arg-type]
    declared: dict[str, Any] = spec.advanced_auth.__dict__
    return declared


def rendered(template: str, values: dict[str, str]) -> str:
    """The template as the platform fills it in; an unknown placeholder fails."""
    return re.sub(r"{{ *(\w+) *}}", lambda match: values[match[1]], template)


def test_the_button_leads_through_consent_to_tokens_that_work(emulator: Emulator) -> None:
    """The whole flow against the emulator, with the templates of the spec and the platform's rules for them."""
    with open("source_backlog/manifest.yaml") as file:
        declared = yaml.safe_load(file)["spec"]["advanced_auth"]
    specification = declared["oauth_config_specification"]
    asked = specification["oauth_connector_input_specification"]
    client, secret, back = "emulator-client", "emulator-secret", "https://airbyte.example.com/auth_flow"
    # Keys of the user's input are placeholders themselves.
    assert list(specification["oauth_user_input_from_connector_config_specification"]["properties"]) == ["domain"]
    values = {
        "domain": emulator.address,
        "client_id_param": f"client_id={client}",
        "client_id_value": client,
        "client_secret_value": secret,
        "redirect_uri_param": "redirect_uri=https%3A%2F%2Fairbyte.example.com%2Fauth_flow",
        "redirect_uri_value": back,
        "state_param": "state=xyz",
    }
    consent = rendered(asked["consent_url"], values)
    assert consent.startswith("https://")
    answer = requests.get(consent.replace("https://", "http://"), allow_redirects=False, timeout=5)
    assert answer.status_code == 302
    code = re.search(r"code=([^&]+)", answer.headers["Location"])[1]  # type: ignore[index]
    form = {
        name: rendered(value, {**values, "auth_code_value": code})
        for name, value in asked["access_token_params"].items()
    }
    url = rendered(asked["access_token_url"], values)
    assert secret not in url, "nothing secret in a URL"
    assert asked["access_token_headers"]["Content-Type"] == "application/x-www-form-urlencoded"
    granted = requests.post(url.replace("https://", "http://"), data=form, timeout=5).json()
    assert set(asked["extract_output"]) <= set(granted)
    config: dict[str, Any] = {"domain": emulator.address, "credentials": {"auth_type": declared["predicate_value"]}}
    outputs = {**granted, "token_expiry_date": "2999-01-01T00:00:00Z", "client_id": client, "client_secret": secret}
    for part in ("complete_oauth_output_specification", "complete_oauth_server_output_specification"):
        for name, field in specification[part]["properties"].items():
            first, second = field["path_in_connector_config"]
            config[first][second] = outputs[name]
    assert command("check", config).connection[0] == "SUCCEEDED"


def test_the_button_fills_fields_of_the_form() -> None:
    declared = advanced_auth()
    assert declared["auth_flow_type"].value == "oauth2.0"
    assert (declared["predicate_key"], declared["predicate_value"]) == (["credentials", "auth_type"], "oauth2.0")
    form = SourceBacklog().spec(None).connectionSpecification["properties"]  # type: ignore[arg-type]
    (oauth,) = [one for one in form["credentials"]["oneOf"] if one["properties"]["auth_type"]["const"] == "oauth2.0"]
    for part in ("complete_oauth_output_specification", "complete_oauth_server_output_specification"):
        for field in getattr(declared["oauth_config_specification"], part)["properties"].values():
            assert field["path_in_connector_config"][0] == "credentials"
            assert field["path_in_connector_config"][1] in oauth["properties"]
    assert "domain" in form
