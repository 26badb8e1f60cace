"""Full-text search: typed words made into a query by the same rules as the documents (`countersign_words`)."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection

RARE = 20_000
"""Revisions that the index may bring for one word; more, and walking the list is the shorter way."""
SHORTEST = 3
"""Letters from which the beginning of a word can be rare at all."""
_COMMON = """
SELECT greatest(c.reltuples, 0)::float8, coalesce(s.most_common_elems::text::text[], '{}'), s.most_common_elem_freqs
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = 'document'
WHERE c.oid = 'approvals_revision'::regclass
"""
"""How many revisions there are, and the words that ANALYZE found in many of them, with the share of each."""


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
    """The query of what somebody typed; total. Two cheap queries, whatever was typed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tsvector_to_array(countersign_words(%s))", [text])
        found: list[str] = cursor.fetchone()[0]
        cursor.execute(_COMMON)
        total, common, shares = cursor.fetchone()
    longest = sorted((word for word in found if len(word) >= SHORTEST), key=len, reverse=True)[:4]
    rare = [word for word in longest if total * share(word, common, shares or []) <= RARE]
    return Search(" & ".join(map(_prefix, found)), " & ".join(map(_prefix, rare)))


def share(beginning: str, common: Sequence[str], shares: Sequence[float]) -> float:
    """The part of all revisions that have a word with this beginning, as far as statistics know: at most the sum.

    PostgreSQL's own estimate does not look at prefixes where it knows fewer than a hundred words. (The list of shares
    is longer than that of words: its least and its greatest follow.)"""
    return sum(part for word, part in zip(common, shares, strict=False) if word.startswith(beginning))


def _prefix(lexeme: str) -> str:
    quoted = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{quoted}':*"
