"""Which proposals belong to which trace: how activity finds whom it is about, and a proposal what led to it."""

import re
from collections.abc import Iterable

from approvals.models import Proposal

_HEX = re.compile(r"[0-9A-Fa-f]{32}\Z")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}\Z")


def key(trace_id: str) -> str:
    """A proposal's trace id as activity has it: OpenTelemetry's is lower-case hexadecimal, and whoever sends a whole
    `traceparent` (W3C Trace Context) means the trace in it."""
    found = _TRACEPARENT.match(trace_id)
    if found:
        return found.group(1)
    return trace_id.lower() if _HEX.match(trace_id) else trace_id


def subjects(agent_id: int, traces: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Whom the agent's proposals with these traces are about. A trace of two subjects belongs to neither alone, so it
    is left out and kept under its own key."""
    rows = (
        Proposal.objects.filter(agent_id=agent_id, trace_id__in=set(traces) - {""}, planted=False)
        .exclude(subject_id="")
        .values_list("trace_id", "subject_type", "subject_id")
        .distinct()
    )
    found: dict[str, set[tuple[str, str]]] = {}
    for trace_id, kind, name in rows:
        found.setdefault(trace_id, set()).add((kind, name))
    return {trace_id: next(iter(these)) for trace_id, these in found.items() if len(these) == 1}
