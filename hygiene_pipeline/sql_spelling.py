"""How a text and a name are spelt in SQL, for statements that take no parameters: attach, set, comment, create."""


def literal(text: str) -> str:
    """A text as an SQL literal, whatever is in it."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """A column's name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'
