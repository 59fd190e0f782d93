"""docs/erd.md and erd/source.dbml are what docs/make_erd.py writes, and the relations leave no id column out."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / "docs" / "make_erd.py"
# Columns that end in "Id" and refer to no table: numbers of kinds and states, and ids of other sorts.
NO_REFERENCE = {
    "activityTypeId",
    "customFieldTypeId",
    "entityId",
    "fieldTypeId",
    "keyId",
    "licenceTypeId",
    "newBlobId",
    "oldBlobId",
    "statusId",
    "typeId",
    "uniqueId",
    "createdUserNulabId",
    "createdUserUniqueId",
    # Of a status or of a resolution, as the column `field` says.
    "newId",
    "originalId",
}
# The userId of a user is a login name; in user_stars it is the id of a user.
LOGIN_IDS = {
    (table, "userId")
    for table in (
        "users",
        "myself",
        "team_members",
        "project_users",
        "project_administrators",
        "issue_participants",
    )
}


@pytest.fixture(scope="module")
def erd() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_erd", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_committed_files_are_up_to_date(erd: ModuleType) -> None:
    assert erd.TARGET.read_text(encoding="utf-8") == erd.render(), "run `python docs/make_erd.py`"
    assert erd.DBML.read_text(encoding="utf-8") == erd.render_dbml(), "run `python docs/make_erd.py`"


def test_the_references_of_the_dbml_join_columns_that_are_there(erd: ModuleType) -> None:
    tables = erd.read_tables()
    references = re.findall(r'^Ref: "(\w+)"\.(.+) [->] "(\w+)"\.(.+)$', erd.render_dbml(), re.MULTILINE)
    assert len(references) >= len(erd.read_relations(tables, erd.read_primary_keys())) > 100
    for child, here, parent, there in references:
        assert set(re.findall(r"\w+", here)) <= tables[child].keys(), child
        assert set(re.findall(r"\w+", there)) <= tables[parent].keys(), parent


def test_every_table_is_drawn_once(erd: ModuleType) -> None:
    drawn = [name for members in erd.read_families().values() for name in members]
    assert sorted(drawn) == sorted(erd.read_tables()), "docs/streams.md: a row per stream, in one of its tables"


def test_a_stream_that_is_missing_somewhere_is_named(erd: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    families = erd.read_families()
    families["Wiki"].remove("wiki_tags")
    families["Documents"].append("document_stars")
    monkeypatch.setattr(erd, "read_families", lambda: families)
    with pytest.raises(ValueError) as error:
        erd.render()
    message = str(error.value)
    for said in (
        "source_backlog/schemas/ lacks document_stars",
        "source_backlog/manifest.yaml lacks document_stars",
        "docs/streams.md lacks wiki_tags",
    ):
        assert said in message


def test_every_relation_joins_two_tables(erd: ModuleType) -> None:
    tables, keys = erd.read_tables(), erd.read_primary_keys()
    for relation in erd.read_relations(tables, keys):
        assert {relation.parent, relation.child} <= set(tables), relation
        columns = {name.removesuffix(".id") for text in relation.columns for name in text.split(", ")}
        assert columns <= set(tables[relation.child]), relation


def test_every_key_names_columns_of_its_table(erd: ModuleType) -> None:
    tables = erd.read_tables()
    for table, key in erd.read_primary_keys().items():
        assert set(key) <= set(tables[table]), table


def test_no_id_column_is_left_out(erd: ModuleType) -> None:
    """A new id column has to be given a table, or to be listed here as one that refers to none."""
    for table, columns in erd.read_tables().items():
        for name, column in columns.items():
            if name.endswith("Id") and (table, name) not in LOGIN_IDS and name not in NO_REFERENCE:
                assert erd.parent_of(table, name, column), (
                    f"{table}.{name}: name its table under KEYS or SPECIAL_KEYS in docs/make_erd.py, or the column "
                    "under NO_REFERENCE in unit_tests/test_erd.py"
                )


def test_users_in_object_columns_refer_to_users(erd: ModuleType) -> None:
    tables, keys = erd.read_tables(), erd.read_primary_keys()
    relation = next(
        relation
        for relation in erd.read_relations(tables, keys)
        if (relation.parent, relation.child) == ("users", "issues")
    )
    assert relation.columns == ("assignee.id, createdUser.id, updatedUser.id",)


def test_a_column_that_repeats_one_of_its_parent_makes_no_relation(erd: ModuleType) -> None:
    tables, keys = erd.read_tables(), erd.read_primary_keys()
    parents = {
        relation.parent for relation in erd.read_relations(tables, keys) if relation.child == "issue_comment_stars"
    }
    assert parents == {"issue_comments", "users"}
