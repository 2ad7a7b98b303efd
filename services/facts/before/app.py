"""The validation API as it was: it stores nothing."""

from fastapi import APIRouter, Depends, FastAPI, HTTPException

from services.facts.access import KEY, KeyedRoute, limited
from services.facts.products import processed
from services.facts.schemas import RawProductData
from services.facts.scoring import validate_input

app = FastAPI(title="TAAS Validation API", version="1.0.0")
router = APIRouter(route_class=KeyedRoute, dependencies=[KEY])


@app.get("/")
def root():
    return {
        "service": "TAAS Validation API",
        "version": "1.0.0",
        "status": "operational",
        "endpoints": ["/validate", "/docs"],
    }


@app.get("/health")
def health_check():
    return {"status": "healthy"}


@router.post("/validate", dependencies=[Depends(limited)])
def validate_text(payload: dict):
    text = payload.get("input_text")
    if text is None:
        raise HTTPException(400, "input_text is required")
    try:
        return {"validation": validate_input(text, payload.get("context"))}
    except ValueError as wrong:
        raise HTTPException(400, str(wrong)) from wrong


@router.post("/api/process-products")
def process_products(request: list[RawProductData]):
    return processed(request)


app.include_router(router)
