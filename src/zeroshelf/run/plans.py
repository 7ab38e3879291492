"""The plan of a run, for what the user asked of it."""

from __future__ import annotations

from zeroshelf.actions import plan, plan_request
from zeroshelf.corrections.classification import Classification
from zeroshelf.records import Plan, PlanRequest
from zeroshelf.runs import earlier


def make(run: Classification, request: PlanRequest) -> Plan:
    """Where every picture of `run` would go, by `request`; what its action has no use for is passed
    over. Looks at the destination and changes nothing. Raises `UserError` where no plan for it can
    work."""
    wanted = plan_request.checked(plan_request.without_unused(request), run.request.labels)
    made = earlier.made(wanted, run.request.labels) if wanted.replace else None
    return plan.by_decisions(wanted, run.embeddings, run.decisions, earlier=made)
