"""Before the CDK is imported: a third of the time until the connector answers is spent on texts that nobody reads."""

import contextlib


def without_descriptions() -> None:
    """Have serpyco_rs, which reads the messages of the CDK, not parse the sources of their classes for descriptions.

    They would go into JSON schemas that nobody asks for.
    """
    with contextlib.suppress(ImportError):
        import attributes_doc

        original = attributes_doc.get_attributes_doc
        attributes_doc.get_attributes_doc = lambda cls: {}
        try:
            import serpyco_rs  # noqa: F401
        finally:
            attributes_doc.get_attributes_doc = original
