"""The routes. FastAPI reads the annotations, so they are evaluated here and not kept as text."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Response

from services.facts import access, defaults, products, reports, scoring, settings
from services.facts.audit import Audit
from services.facts.judging import ACCEPTED, REJECTED, judged
from services.facts.records import Fact, ValidationResult
from services.facts.registry import outcome, taken, with_judgement
from services.facts.schemas import FactCreate, FactUpdate, RawProductData, sendable
from services.facts.stores import facts, results, service
from services.farm.common import answers, clock
from services.farm.common.alone import alone
from services.farm.common.app import build, refused
from services.farm.common.settings import seeds_demo_data

NOT_FOUND = "Fact not found"
HOME = {
    "service": "TAAS Validation API", "version": "1.0.0", "status": "operational", "endpoints": ["/validate", "/docs"],
}  # fmt: skip
everyone = APIRouter()
keyed = APIRouter(route_class=access.KeyedRoute, dependencies=[access.KEY])


@everyone.get("/")
async def root() -> dict[str, Any]:
    return HOME


@keyed.post("/validate", dependencies=[Depends(access.limited)])
def validate_text(payload: dict[str, Any]) -> dict[str, Any]:
    text, context = payload.get("input_text"), payload.get("context")
    if text is None:
        raise HTTPException(400, "input_text is required")
    try:
        judgement = scoring.validate_input(text, context)
    except ValueError as wrong:
        raise HTTPException(400, str(wrong)) from None
    try:
        sendable(context)
    except ValueError as wrong:
        raise refused(str(wrong), "body", "context") from None
    return {"validation": judgement}


@keyed.post("/api/process-products")
async def process_products(request: list[RawProductData]) -> dict[str, Any]:
    return products.processed(request)


@keyed.get("/facts")
async def list_facts(
    category: str | None = None,
    tag: str | None = None,
    verified: bool | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    filters = answers.given(category=category, tags__has=tag, verified=verified)
    return await answers.page(facts.repository, "facts", limit=limit, offset=offset, **filters)


@keyed.get("/facts/coherence-report")
async def coherence_report() -> dict[str, Any]:
    categories = await facts.repository.count(by="category")
    verified = await facts.repository.count(verified=True)
    return reports.coherence(sum(categories.values()), verified, categories)


@keyed.get("/facts/summary")
async def validation_summary() -> dict[str, Any]:
    statuses = await results.repository.count(by="status")
    return reports.summary(statuses, await results.repository.avg("confidence"))


@keyed.post("/facts", status_code=201)
async def create_fact(body: FactCreate) -> Response:
    fact = _fact_of(body)

    async def once() -> None:
        await _register(fact)

    await alone(service, ("fact", fact.id), once)
    return answers.record(facts.repository, fact, 201)


@keyed.post("/facts/register-and-validate")
async def register_and_validate(body: FactCreate) -> dict[str, Any]:
    """Nothing but the result is stored of a fact that too little speaks for, or whose id exists."""
    fact = _fact_of(body)

    async def once() -> tuple[ValidationResult, str | None]:
        result = await _validate(fact)
        if result.confidence < ACCEPTED:
            return result, REJECTED
        try:
            await _register(with_judgement(fact, result))
        except HTTPException as known:
            return result, known.detail
        return result, None

    result, error = await alone(service, ("fact", fact.id), once)
    return outcome(fact.id, result, error)


@keyed.post("/facts/{fact_id:path}/validate")
async def validate_fact(fact_id: str) -> dict[str, Any]:
    async def once() -> ValidationResult:
        return await _validate(_there(await facts.repository.get(fact_id)))

    return (await alone(service, ("fact", fact_id), once)).to_dict()


@keyed.get("/facts/{fact_id:path}")
async def get_fact(fact_id: str) -> Response:
    return await answers.one(facts.repository, fact_id, NOT_FOUND)


@keyed.put("/facts/{fact_id:path}")
async def update_fact(fact_id: str, body: FactUpdate) -> Response:
    fields: dict[str, Any] = {name: getattr(body, name) for name in body.model_fields_set}
    if "timestamp" in fields:
        fields["timestamp"] = clock.in_utc(fields["timestamp"])

    async def once() -> Fact:
        return _there(await facts.repository.patch(fact_id, **fields, updated_at=clock.now()))

    return answers.record(facts.repository, await alone(service, ("fact", fact_id), once))


@keyed.delete("/facts/{fact_id:path}", status_code=204)
async def delete_fact(fact_id: str) -> None:
    if not await facts.repository.delete(fact_id):
        raise HTTPException(404, NOT_FOUND)


def _fact_of(body: FactCreate) -> Fact:
    """The fact of a body. Raises 422 for a blank id."""
    at = clock.now() if body.timestamp is None else clock.in_utc(body.timestamp)
    try:
        return Fact(body.id, body.category, body.statement, body.verified, at, body.tags, body.metadata)
    except ValueError as wrong:
        raise refused(str(wrong), "body", "id") from None


async def _register(fact: Fact) -> None:
    """Raises 409 if the id exists."""
    if await facts.repository.get(fact.id) is not None:
        raise HTTPException(409, taken(fact.id))
    await facts.repository.insert(fact)


async def _validate(fact: Fact) -> ValidationResult:
    """What is found about a fact, kept as the latest result of its id."""
    result = judged(fact)
    await results.repository.put(result)
    await facts.repository.patch(fact.id, validation_status=result.status, validation_score=result.confidence)
    return result


def _there(fact: Fact | None) -> Fact:
    if fact is None:
        raise HTTPException(404, NOT_FOUND)
    return fact


if seeds_demo_data():
    for default in defaults.facts():
        facts.setdefault(default.id, default)
settings.validate_rate()
app = build(service, "TAAS Validation API", everyone, keyed, health={"status": "healthy"}, health_paths=("/health",))
app.add_middleware(Audit)
