"""Which streams are read when nobody names some, without anything that takes time to import."""

# The same as suggestedStreams in metadata.yaml, which is not part of the installed package.
SUGGESTED_STREAMS = (
    "activities",
    "categories",
    "custom_fields",
    "deletions",
    "issue_milestones",
    "issue_types",
    "issues",
    "priorities",
    "project_users",
    "projects",
    "resolutions",
    "space",
    "statuses",
    "users",
    "versions",
)


def brings_files(stream: str) -> bool:
    """Whether the rows of a stream are files, whose bytes have no place in a table."""
    return stream.endswith("_attachment_files") or stream == "shared_file_contents"
