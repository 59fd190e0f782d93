"""The config: what is typed is brought into shape, and what is wrong is named in words of the form."""

from typing import Any

import pytest
from airbyte_cdk.models import FailureType
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from hypothesis import given
from hypothesis import strategies as st

from source_backlog.config import (
    NormaliseDomain,
    SpaceDomain,
    check_config,
    host_of,
    other_addresses,
    unknown_options,
)
from source_backlog.values import as_instant

SECRET = "kEy-that-nobody-may-see"


def refused(value: Any) -> str:
    """The message with which a domain is refused."""
    with pytest.raises(AirbyteTracedException) as raised:
        SpaceDomain().validate(value)
    assert raised.value.failure_type == FailureType.config_error
    return assert_sentence(raised.value)


def assert_sentence(error: AirbyteTracedException) -> str:
    message = error.message or ""
    assert message.endswith("."), message
    assert message.isprintable(), message
    assert len(message) < 500
    for hidden in (SECRET, "Traceback", "None", "regex", "pattern"):
        assert hidden not in message
    return message


@pytest.mark.parametrize(
    ("typed", "host"),
    [
        ("acme.backlog.jp", "acme.backlog.jp"),
        ("acme.backlog.com", "acme.backlog.com"),
        ("acme.backlogtool.com", "acme.backlogtool.com"),
        ("my-space-2.backlog.jp", "my-space-2.backlog.jp"),
        ("backlog.example.co.jp", "backlog.example.co.jp"),
        ("ACME.Backlog.JP", "acme.backlog.jp"),
        ("  acme.backlog.jp\n", "acme.backlog.jp"),
        ("acme.backlog.jp.", "acme.backlog.jp"),
        ("acme.backlog.jp/", "acme.backlog.jp"),
        ("acme.backlog.jp/dashboard", "acme.backlog.jp"),
        ("https://acme.backlog.jp", "acme.backlog.jp"),
        ("https://acme.backlog.jp/", "acme.backlog.jp"),
        ("http://acme.backlog.jp/view/WEB-1?x=1#comment-2", "acme.backlog.jp"),
        ("HTTPS://ACME.BACKLOG.JP/", "acme.backlog.jp"),
        ("https://acme.backlog.jp:443/dashboard", "acme.backlog.jp"),
        ("acme.backlog.jp?apiKey=x", "acme.backlog.jp"),
        ("acme.backlog.jp#top", "acme.backlog.jp"),
        ("ａｃｍｅ．ｂａｃｋｌｏｇ．ｊｐ", "acme.backlog.jp"),
        ("acme。backlog。jp", "acme.backlog.jp"),
        ("\u3000acme.backlog.jp\u3000", "acme.backlog.jp"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("localhost:8080", "localhost:8080"),
        ("http://127.0.0.1:8080/api/v2", "127.0.0.1:8080"),
    ],
)
def test_a_pasted_address_becomes_the_host_and_is_accepted(typed: str, host: str) -> None:
    config = {"domain": typed}
    NormaliseDomain().transform(config)
    assert config == {"domain": host}
    SpaceDomain().validate(config["domain"])
    SpaceDomain().validate(typed)
    assert host_of(host) == host, "what is in shape stays"


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        "   ",
        "\u3000",
        ".",
        "..",
        "/",
        "//acme.backlog.jp",
        "https://",
        "https:///acme.backlog.jp",
        "https:/acme.backlog.jp",
        "ftp://acme.backlog.jp",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "acme",
        "acme backlog.jp",
        "acme.backlog.jp evil.example.com",
        "acme.backlog.jp\nevil.example.com",
        "acme.backlog.jp\r\nX-Header: 1",
        "acme\x00.backlog.jp",
        "acme..backlog.jp",
        ".acme.backlog.jp",
        "-acme.backlog.jp",
        "acme-.backlog.jp",
        "acme_2.backlog.jp",
        "acme.backlog.j",
        "acme.backlog.123",
        "a" * 64 + ".backlog.jp",
        "a." * 200 + "jp",
        "user@acme.backlog.jp",
        "https://user:pass@acme.backlog.jp",
        "https://acme.backlog.jp@evil.example.com",
        "https://acme.backlog.jp\\@evil.example.com",
        "https://acme.backlog.jp:8443",
        "acme.backlog.jp:80",
        "acme.backlog.jp:",
        "localhost",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:99999",
        "localhost:999999",
        "localhost:8080@evil.example.com",
        "127.0.0.2:8080",
        "0.0.0.0:8080",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "169.254.169.254:80",
        "2130706433",
        "0x7f.0.0.1",
        "[::1]",
        "[::1]:8080",
        "https://[::1",
        "https://[acme.backlog.jp]",
        "ácme.backlog.jp",
        "аcme.backlog.jp",
        "スペース.backlog.jp",
        "acme.backlog.jp\u202e",
        "backlog.jp",
        "backlog.com",
        "backlogtool.com",
        "www.backlog.com",
        "{{ config['credentials'] }}",
        "acme.backlog.jp{{ 1 }}",
        "%2e%2e.backlog.jp",
        "*.backlog.jp",
        "<script>.backlog.jp",
    ],
)
def test_what_is_no_host_of_a_space_is_refused(hostile: str) -> None:
    refused(hostile)
    config = {"domain": hostile}
    NormaliseDomain().transform(config)
    refused(config["domain"])


@pytest.mark.parametrize("value", [None, 5, 5.5, True, [], {}, ["acme.backlog.jp"], b"acme.backlog.jp"])
def test_what_is_no_text_is_refused(value: Any) -> None:
    config = {"domain": value}
    NormaliseDomain().transform(config)
    assert "host name of your space as text" in refused(config["domain"])


def test_a_user_name_or_password_in_the_address_is_not_shown() -> None:
    assert SECRET not in refused(f"https://hanako:{SECRET}@acme.backlog.jp/")
    assert SECRET.lower() not in refused(f"https://hanako:{SECRET}@acme.backlog.jp/")


def test_the_name_of_a_space_alone_is_answered_with_its_possible_addresses() -> None:
    assert "acme.backlog.jp, acme.backlog.com, acme.backlogtool.com" in refused("acme")


def test_a_long_text_is_not_shown_whole() -> None:
    assert "a" * 200 not in refused("a!" * 1000)


def test_the_other_addresses_of_a_space() -> None:
    assert other_addresses("acme.backlog.jp") == "acme.backlog.com or acme.backlogtool.com"
    assert other_addresses("acme.backlogtool.com") == "acme.backlog.jp or acme.backlog.com"
    assert other_addresses("backlog.example.com") == ""


@given(st.text())
def test_nothing_that_is_typed_makes_it_fail_otherwise(typed: str) -> None:
    config = {"domain": typed}
    NormaliseDomain().transform(config)
    try:
        SpaceDomain().validate(config["domain"])
    except AirbyteTracedException as error:
        assert_sentence(error)


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=30))
def test_what_is_accepted_is_a_plain_host(typed: str) -> None:
    host = host_of(f"{typed}.backlog.jp")
    try:
        SpaceDomain().validate(host)
    except AirbyteTracedException:
        return
    assert host.isascii()
    assert set(host) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")


def test_a_config_without_a_domain_stays_as_it_is() -> None:
    config: dict[str, Any] = {}
    NormaliseDomain().transform(config)
    assert config == {}


def test_blanks_around_a_pasted_key_go() -> None:
    typed = {"auth_type": "api_key", "api_key": f" {SECRET}\n"}
    config: dict[str, Any] = {"domain": "acme.backlog.jp", "credentials": typed}
    NormaliseDomain().transform(config)
    assert config["credentials"] == {"auth_type": "api_key", "api_key": SECRET}
    assert typed["api_key"] == f" {SECRET}\n", "what the user typed is not edited"


MINIMAL = {"domain": "acme.backlog.jp", "credentials": {"auth_type": "api_key", "api_key": SECRET}}
OAUTH = {"auth_type": "oauth2.0", "client_id": "i", "client_secret": "s", "refresh_token": "r"}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"credentials": OAUTH},
        {"credentials": {**OAUTH, "access_token": "a", "token_expiry_date": "2026-01-01T00:00:00Z"}},
        {"credentials": {**OAUTH, "access_token": ""}},
        {"projects": []},
        {"projects": ["WEB", "12345"]},
        {"include_archived_projects": False},
        {"num_workers": 1},
        {"num_workers": 20},
        {"request_share_percent": 1},
        {"request_share_percent": 100},
        {"deleted_records": "tombstones"},
        {"issue_custom_fields": "columns"},
        {"file_size_limit_mib": 1},
        {"file_size_limit_mib": 1500},
        {"start_date": ""},
        {"start_date": "2024-01-01"},
        {"start_date": "2024-02-29T12:34:56Z"},
        {"start_date": " "},
        {"start_date": " 2024-01-01\n"},
        {"an_option_of_a_later_version": 1},
    ],
)
def test_a_config_as_the_form_makes_it_is_accepted(more: dict[str, Any]) -> None:
    check_config({**MINIMAL, **more})


@pytest.mark.parametrize(
    ("wrong", "part"),
    [
        ({"domain": "acme"}, "only the name of a space"),
        ({"credentials": None}, "Authentication is missing"),
        ({"credentials": []}, "Authentication is missing"),
        ({"credentials": SECRET}, "Authentication is missing"),
        ({"credentials": {}}, "Authentication is missing"),
        ({"credentials": {"api_key": SECRET}}, "Authentication is missing"),
        ({"credentials": {"auth_type": ["api_key"], "api_key": SECRET}}, "Authentication is missing"),
        ({"credentials": {"auth_type": SECRET}}, "Authentication is missing"),
        ({"credentials": {"auth_type": "api_key"}}, "The API Key is missing"),
        ({"credentials": {"auth_type": "api_key", "api_key": ""}}, "The API Key is missing"),
        ({"credentials": {"auth_type": "api_key", "api_key": 5}}, "The API Key is missing"),
        ({"credentials": {"auth_type": "api_key", "api_key": f"{SECRET} {SECRET}"}}, "The API Key is not one"),
        ({"credentials": {"auth_type": "api_key", "api_key": f"{SECRET}キー"}}, "The API Key is not one"),
        ({"credentials": {"auth_type": "api_key", "api_key": f"a\r\nX: {SECRET}"}}, "The API Key is not one"),
        ({"credentials": {**OAUTH, "client_id": ""}}, "The Client ID is missing"),
        ({"credentials": {**OAUTH, "client_secret": None}}, "The Client Secret is missing"),
        ({"credentials": {**OAUTH, "refresh_token": f"{SECRET}\n{SECRET}"}}, "The Refresh Token is not one"),
        ({"credentials": {**OAUTH, "access_token": f"{SECRET}\n{SECRET}"}}, "The Access Token is not one"),
        ({"projects": "WEB"}, "Projects must be a list"),
        ({"projects": [1]}, "Projects must be a list"),
        ({"projects": {SECRET: SECRET}}, "Projects must be a list"),
        ({"include_archived_projects": "no"}, "Include Archived Projects"),
        ({"num_workers": 0}, "Number of Workers must be a whole number from 1 to 20, not 0"),
        ({"num_workers": 21}, "Number of Workers must be a whole number from 1 to 20, not 21"),
        ({"num_workers": 10**30}, "Number of Workers must be a whole number from 1 to 20."),
        ({"num_workers": True}, "Number of Workers"),
        ({"num_workers": "4"}, "Number of Workers"),
        ({"num_workers": 4.0}, "Number of Workers"),
        ({"request_share_percent": 0}, "Share of the Request Limit"),
        ({"request_share_percent": 101}, "Share of the Request Limit"),
        ({"file_size_limit_mib": 0}, "File Size Limit must be a whole number from 1 to 1500, not 0"),
        ({"file_size_limit_mib": 1501}, "File Size Limit must be a whole number from 1 to 1500, not 1501"),
        ({"file_size_limit_mib": 1024.5}, "File Size Limit must be a whole number"),
        ({"file_size_limit_mib": SECRET}, "File Size Limit must be a whole number"),
        ({"deleted_records": "all"}, "Deleted Records must be deletions_stream or tombstones"),
        ({"issue_custom_fields": ["array"]}, "Issue Custom Fields must be array or columns"),
        ({"start_date": "2999-01-01"}, "The Start Date '2999-01-01' lies in the future"),
        ({"start_date": "2024-02-30T00:00:00Z"}, "is not a date"),
        ({"start_date": "2024-13-01"}, "is not a date"),
        ({"start_date": "2024-01-01T25:00:00Z"}, "is not a date"),
        ({"start_date": "2024-01-01 00:00"}, "is not a date"),
        ({"start_date": "2024-01-01T00:00:00+99:00"}, "is not a date"),
        ({"start_date": "２０２４-01-01"}, "is not a date"),
        ({"start_date": "2999-01-01T00:00:00.5+09:00"}, "lies in the future"),
        ({"start_date": "yesterday"}, "is not a date"),
        ({"start_date": 20240101}, "is not a date"),
        ({"start_date": ["2024-01-01"]}, "is not a date"),
        ({"start_date": SECRET * 3}, "is not a date"),
        ({"start_date": "2024-01-01\n2024-01-02"}, "is not a date"),
    ],
)
def test_what_is_wrong_is_named_as_the_form_names_it(wrong: dict[str, Any], part: str) -> None:
    with pytest.raises(AirbyteTracedException) as raised:
        check_config({**MINIMAL, **wrong})
    assert raised.value.failure_type == FailureType.config_error
    assert part in assert_sentence(raised.value)
    assert SECRET not in (raised.value.internal_message or "")


FORM = {
    "properties": {
        "domain": {},
        "credentials": {"oneOf": [{"properties": {"api_key": {}}}, {"properties": {"client_id": {}}}]},
        "num_workers": {},
    }
}


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        ("num_worker", "num_workers"),
        ("numWorkers", "num_workers"),
        ("Number of Workers", "num_workers"),
        ("number-of-workers", "num_workers"),
        ("domains", "domain"),
        ("api_key", ""),
        ("x", ""),
        ("", ""),
    ],
)
def test_an_unknown_option_comes_with_the_nearest_known_one(typed: str, nearest: str) -> None:
    (found,) = unknown_options({"domain": "acme.backlog.jp", typed: 1}, FORM)
    assert found == (typed, nearest, ["domain", "credentials", "num_workers"])


def test_an_unknown_field_of_the_credentials_is_compared_with_theirs() -> None:
    (found,) = unknown_options({"credentials": {"client_id": "i", "apikey": SECRET}}, FORM)
    assert found == ("apikey", "api_key", ["api_key", "client_id"])


@pytest.mark.parametrize("credentials", [None, SECRET, [SECRET], {}, {"api_key": "k", "client_id": ""}])
def test_known_options_and_those_of_the_platform_are_not_told(credentials: Any) -> None:
    config = {"domain": "acme.backlog.jp", "credentials": credentials, "__injected_components_py": "", "_ab": 1}
    assert list(unknown_options(config, FORM)) == []


def test_the_name_of_an_unknown_option_is_shown_readable() -> None:
    (found,) = unknown_options({"a\nb" + "c" * 100: 1}, FORM)
    assert found[0] == "a b" + "c" * 37


def test_a_missing_domain_is_named() -> None:
    with pytest.raises(AirbyteTracedException, match="The Space Domain is missing"):
        check_config({"credentials": MINIMAL["credentials"]})


# What was typed, and the same time in the connector's own form.
DATES = {
    "2024-01-02": "2024-01-02T00:00:00Z",
    "20240102": "2024-01-02T00:00:00Z",
    "2024-01-02T03:04:05Z": "2024-01-02T03:04:05Z",
    "2024-01-02T03:04:05": "2024-01-02T03:04:05Z",
    "2024-01-02T03:04Z": "2024-01-02T03:04:00Z",
    "2024-01-02T03Z": "2024-01-02T03:00:00Z",
    "2024-01-02T03:04:05.000Z": "2024-01-02T03:04:05Z",
    "2024-01-02T03:04:05.123456789Z": "2024-01-02T03:04:05Z",
    "2024-01-02T03:04:05,5Z": "2024-01-02T03:04:05Z",
    "2024-01-02T03:04:05+09:00": "2024-01-01T18:04:05Z",
    "2024-01-02T03:04:05.678-0130": "2024-01-02T04:34:05Z",
    "2024-01-02T03:04+09": "2024-01-01T18:04:00Z",
    "20240102T030405Z": "2024-01-02T03:04:05Z",
    "2024-01-02t03:04:05z": "2024-01-02T03:04:05Z",
    "  2024-01-02T03:04:05Z\t\n": "2024-01-02T03:04:05Z",
}


@pytest.mark.parametrize(("typed", "instant"), DATES.items())
def test_a_start_date_may_be_spelt_in_every_way_of_iso_8601(config: dict[str, Any], typed: str, instant: str) -> None:
    given = {**config, "start_date": typed}
    check_config(given)
    NormaliseDomain().transform(given)
    check_config(given)
    assert as_instant(given["start_date"]) == instant
