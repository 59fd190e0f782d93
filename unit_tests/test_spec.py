"""The form that a user fills in: whole, in order, with the secrets marked and defaults for all but domain and key."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from airbyte_cdk.models import AirbyteMessage, AirbyteMessageSerializer, Type
from airbyte_cdk.utils.traced_exception import AirbyteTracedException
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

from source_backlog.config import DATE, check_config
from source_backlog.source import SourceBacklog

Row = dict[str, Any]

MINIMAL = {"domain": "acme.backlog.jp", "credentials": {"auth_type": "api_key", "api_key": "key"}}
OAUTH = {"auth_type": "oauth2.0", "client_id": "i", "client_secret": "s", "refresh_token": "r"}


@pytest.fixture(scope="module")
def specification() -> Any:
    return SourceBacklog().spec(None)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def form(specification: Any) -> Row:
    schema: Row = specification.connectionSpecification
    return schema


def objects(schema: Row, path: str = "") -> Iterator[tuple[str, Row]]:
    """Every object of the form with properties: (path, schema)."""
    if "properties" in schema:
        yield path, schema
    for name, prop in schema.get("properties", {}).items():
        yield from objects(prop, f"{path}/{name}")
        for variant in prop.get("oneOf", []):
            yield from objects(variant, f"{path}/{name}/{variant['title']}")


def properties(form: Row) -> list[tuple[str, Row]]:
    return [(f"{path}/{name}", prop) for path, schema in objects(form) for name, prop in schema["properties"].items()]


def test_the_form_is_a_json_schema(form: Row) -> None:
    Draft7Validator.check_schema(form)


def test_the_spec_is_a_message_of_the_protocol(specification: Any) -> None:
    dumped = AirbyteMessageSerializer.dump(AirbyteMessage(type=Type.SPEC, spec=specification))
    assert dumped["spec"]["documentationUrl"] == "https://docs.airbyte.com/integrations/sources/backlog"
    assert dumped["spec"]["connectionSpecification"]["title"] == "Backlog Source Spec"


def test_the_names_of_the_options_are_a_contract(form: Row) -> None:
    assert set(form["properties"]) >= {
        "domain",
        "credentials",
        "start_date",
        "projects",
        "include_archived_projects",
        "num_workers",
        "request_share_percent",
        "deleted_records",
        "issue_custom_fields",
    }
    kinds = {kind["properties"]["auth_type"]["const"]: kind for kind in form["properties"]["credentials"]["oneOf"]}
    assert set(kinds) == {"api_key", "oauth2.0"}
    assert set(kinds["api_key"]["properties"]) == {"auth_type", "api_key"}
    assert set(kinds["oauth2.0"]["properties"]) == {
        "auth_type",
        "client_id",
        "client_secret",
        "access_token",
        "refresh_token",
        "token_expiry_date",
    }


def test_domain_and_key_are_enough(form: Row) -> None:
    assert form["required"] == ["domain", "credentials"]
    Draft7Validator(form).validate(MINIMAL)
    Draft7Validator(form).validate({**MINIMAL, "credentials": OAUTH})


def test_everything_else_has_a_default_or_may_be_left_out(form: Row) -> None:
    defaults = {name: prop["default"] for name, prop in form["properties"].items() if "default" in prop}
    assert (
        defaults.items()
        >= {
            "projects": [],
            "include_archived_projects": True,
            "deleted_records": "deletions_stream",
            "issue_custom_fields": "array",
            "num_workers": 1,
            "request_share_percent": 90,
        }.items()
    )
    assert set(form["properties"]) - set(defaults) == {"domain", "credentials", "start_date"}
    Draft7Validator(form).validate({**MINIMAL, **defaults})


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"domain": "acme.backlog.jp"},
        {"credentials": MINIMAL["credentials"]},
        {**MINIMAL, "credentials": {"auth_type": "api_key"}},
        {**MINIMAL, "credentials": {"auth_type": "oauth2.0", "client_id": "i"}},
        {**MINIMAL, "credentials": {"auth_type": "password", "api_key": "k"}},
        {**MINIMAL, "domain": 5},
        {**MINIMAL, "projects": "WEB"},
        {**MINIMAL, "projects": [1]},
        {**MINIMAL, "num_workers": 0},
        {**MINIMAL, "num_workers": 21},
        {**MINIMAL, "num_workers": "4"},
        {**MINIMAL, "request_share_percent": 0},
        {**MINIMAL, "request_share_percent": 101},
        {**MINIMAL, "deleted_records": "all"},
        {**MINIMAL, "issue_custom_fields": "both"},
        {**MINIMAL, "include_archived_projects": "yes"},
        {**MINIMAL, "start_date": "01/02/2024"},
        {**MINIMAL, "start_date": "2024-01-01 00:00"},
    ],
)
def test_what_the_form_does_not_allow_is_refused(form: Row, wrong: Row) -> None:
    with pytest.raises(ValidationError):
        Draft7Validator(form).validate(wrong)


def beyond(option: Row) -> Iterator[Any]:
    """Values that the form does not allow for an option with a type, a choice or bounds of its own."""
    of_another_type = {"string": [5], "array": ["x"], "boolean": ["true", 1], "integer": ["5", True, 5.5]}
    yield from of_another_type[option["type"]]
    if "enum" in option:
        yield option["enum"][0].upper()
    if "minimum" in option:
        yield option["minimum"] - 1
    if "maximum" in option:
        yield option["maximum"] + 1


def test_what_lies_beyond_the_form_is_refused_with_the_title_of_the_option(form: Row) -> None:
    for name, option in form["properties"].items():
        for value in beyond(option) if option["type"] != "object" else ():
            assert not Draft7Validator(option).is_valid(value), (name, value)
            with pytest.raises(AirbyteTracedException) as refused:
                check_config({**MINIMAL, name: value})
            assert option["title"] in str(refused.value.message), (name, value)


def test_the_bounds_of_the_form_are_those_of_the_code(form: Row) -> None:
    for name, option in form["properties"].items():
        for value in (option.get("minimum"), option.get("maximum"), option.get("default")):
            if value is not None:
                check_config({**MINIMAL, name: value})


def test_choices_are_named_in_descriptions_as_the_lists_have_them(form: Row) -> None:
    for path, option in properties(form):
        for choice in option.get("enum", []):
            assert re.search(rf"\b{choice}\b", option["description"]), (path, choice)


def test_what_may_stay_empty_is_said(form: Row) -> None:
    kinds = {kind["title"]: kind for kind in form["properties"]["credentials"]["oneOf"]}
    may_stay_empty = [
        title
        for title, kind in kinds.items()
        for name, field in kind["properties"].items()
        if name not in kind["required"]
        and not field.get("airbyte_hidden")
        and "may stay empty" not in field["description"]
    ]
    assert may_stay_empty == []


def test_every_secret_is_marked_and_nothing_else(form: Row) -> None:
    marked = {path.rsplit("/", 1)[1] for path, prop in properties(form) if prop.get("airbyte_secret")}
    assert marked == {"api_key", "client_id", "client_secret", "access_token", "refresh_token"}


def test_every_property_has_a_title_and_a_description(form: Row) -> None:
    for path, prop in properties(form):
        if "const" in prop:
            continue
        assert prop.get("title"), path
        assert prop.get("description", "").endswith("."), path


def test_the_order_is_whole_and_unique_on_every_level(form: Row) -> None:
    for path, schema in objects(form):
        orders = sorted(prop["order"] for prop in schema["properties"].values())
        assert orders == list(range(len(orders))), path


def test_every_property_of_the_form_is_in_a_group(form: Row) -> None:
    groups = [group["id"] for group in form["groups"]]
    used = [prop["group"] for prop in form["properties"].values()]
    assert set(used) == set(groups)
    in_order = [prop["group"] for prop in sorted(form["properties"].values(), key=lambda prop: prop["order"])]
    assert in_order == sorted(in_order, key=groups.index), "the groups stand in the order of their properties"


def test_every_example_is_allowed(form: Row) -> None:
    for path, prop in properties(form):
        for example in prop.get("examples", []):
            value = [example] if prop["type"] == "array" else example
            bare = {key: rule for key, rule in prop.items() if key != "examples"}
            assert Draft7Validator(bare).is_valid(value), (path, example)


def test_objects_are_open(form: Row) -> None:
    """A config that a later version saved, or that holds fields of the platform, stays valid."""
    for path, schema in objects(form):
        assert schema["additionalProperties"] is True, path
    Draft7Validator(form).validate({**MINIMAL, "an_option_of_a_later_version": 1})


def test_links_are_https(form: Row) -> None:
    for path, prop in properties(form):
        description = prop.get("description", "")
        assert description.count("href=") == description.count('href="https://'), path


DATES = ["2024-01-02", "20240102", "2024-01-02T03:04:05Z", "2024-01-02T03:04", "2024-01-02T03:04:05.123456789Z"]
DATES += ["2024-01-02T03:04:05,5+09:00", "2024-01-02T03:04-0130", "20240102T030405+09", "2024-01-02t03:04:05z"]
NO_DATES = [
    "",
    "x",
    "2024",
    "2024-01-01 00:00",
    "01/02/2024",
    "2024-1-1",
    "2024-01-01T00:00:00+",
    "2024-01-01Z",
    "T03:04",
]


@pytest.mark.parametrize("typed", [*DATES, *(f" {date}\n" for date in DATES), *NO_DATES])
def test_the_pattern_of_a_start_date_is_that_of_the_code(form: Row, typed: str) -> None:
    allowed = re.search(form["properties"]["start_date"]["pattern"], typed)
    assert bool(allowed) == bool(DATE.fullmatch(typed.strip().upper())) == (typed not in NO_DATES)
