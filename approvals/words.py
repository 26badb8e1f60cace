"""Full-text search: typed words made into a query by the same rules as the documents (`countersign_words`)."""

from dataclasses import dataclass

from django.db import connection

RARE = 20_000
"""Revisions that the index may bring for one word; more, and walking the list is the shorter way."""
SHORTEST = 3
"""Letters from which the beginning of a word can be rare at all."""
_FLOOR = 0.006
"""PostgreSQL believes no beginning of a word to be rarer than 0.5 % of all rows."""


@dataclass(frozen=True, slots=True)
class Search:
    """`query` has every word as a prefix, `rare` those of them for which the index is worth asking (or is empty).

    Both are in PostgreSQL's own notation, every word quoted; neither is ever part of a statement's text."""

    query: str
    rare: str

    @property
    def is_empty(self) -> bool:
        """Nothing but punctuation was typed."""
        return not self.query


def search(text: str) -> Search:
    """The query of what somebody typed; total. A few cheap queries, whatever was typed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tsvector_to_array(countersign_words(%s))", [text])
        found: list[str] = cursor.fetchone()[0]
    lexemes = [_prefix(word) for word in found]
    longest = sorted((word for word in found if len(word) >= SHORTEST), key=len, reverse=True)[:4]
    rare = [_prefix(word) for word in longest] if longest else []
    if rare:
        most = max(RARE, _estimate("") * _FLOOR)
        rare = [word for word in rare if _estimate(word) <= most]
    return Search(" & ".join(lexemes), " & ".join(rare))


def _prefix(lexeme: str) -> str:
    quoted = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{quoted}':*"


def _estimate(word: str) -> float:
    """How many revisions the planner believes to match (all of them, without a word); it reads statistics alone."""
    condition = "WHERE document @@ %s::tsquery" if word else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"EXPLAIN (FORMAT JSON) SELECT FROM approvals_revision {condition}",
            [word] if word else None,
        )
        plan: float = cursor.fetchone()[0][0]["Plan"]["Plan Rows"]
    return plan
