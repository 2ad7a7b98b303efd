"""The services of the hand-made guide as findings, as the engine describes them: what every report is tried on.

Long: a list of stores is as long as the guide.
"""

from __future__ import annotations

from pathlib import Path

from outlive.scan.catalogue import Catalogue, Entry, FieldInfo, Finding, Place, Site, Skipped, Use
from outlive.scan.config import ScanConfig
from outlive.scan.rank import ranked

MAIN = "apps/services/{}/src/main.py"


def fields(text: str) -> tuple[FieldInfo, ...]:
    """Fields from `name: annotation = default` parts, divided by semicolons."""
    found = []
    for part in text.split(";"):
        name, _, rest = part.strip().partition(":")
        annotation, _, default = (each.strip() for each in rest.partition("="))
        found.append(FieldInfo(name.strip(), annotation, "None" in annotation, default or None))
    return tuple(found)


def route(name: str, path: str, line: int) -> Entry:
    """A FastAPI route."""
    return Entry("http", "fastapi", name, path, line)


def finding(service: str, line: int, symbol: str, container: str, **more: object) -> Finding:
    """A store of a service's main module, written by one route and read by another."""
    path = str(more.pop("path", MAIN.format(service)))
    literal = "[]" if container[:1] in "lL" else "0" if container == "int" else "{}"
    writes, reads = route(f"POST /{service}", path, line + 100), route(f"GET /{service}", path, line + 120)
    facts: dict[str, object] = {
        "end_line": line,
        "cls": "store",
        "rule": "module-level-dict",
        "service": service,
        "declaration": f"{symbol.rpartition('.')[2]}: {container} = {literal}",
        "reasons": ("written by a request handler",),
        "writers": (Site(path, line + 101, "create", "set item", writes, (writes,)),),
        "readers": (Site(path, line + 121, "show", "get", reads, (reads,)),),
        **more,
    }
    return Finding(path=path, line=line, symbol=symbol, container=container, **facts)  # type: ignore[arg-type]


def uses(service: str, line: int, *names: str, order: str = "") -> dict[str, tuple[Use, ...]]:
    """Filters on `names` and a sort in one query."""
    path = MAIN.format(service)
    door = route(f"GET /{service}", path, line)
    asked = tuple(Use(name, "==", path, line, door) for name in names)
    return {
        "filters": asked,
        "sorts": (Use(order.lstrip("-"), "desc" if order[0] == "-" else "asc", path, line, door),) if order else (),
    }


def billing() -> list[Finding]:
    """billing-core: six stores and a counter."""
    name = "billing-core"
    return [
        finding(
            name,
            550,
            "PLANS",
            "Dict[str, Plan]",
            record="Plan",
            key="str",
            fields=fields(
                "plan_id: str; name: str; name_ar: str; tier: PlanTier;"
                " pricing: PlanPricing; features: dict[str, bool];"
                " limits: dict[str, int]; trial_days: int = 0; is_active: bool = True; created_at: datetime"
            ),
        ),
        finding(
            name,
            551,
            "TENANTS",
            "Dict[str, Tenant]",
            record="Tenant",
            key="str",
            personal=("contact",),
            fields=fields(
                "tenant_id: str; name: str; name_ar: str; contact: TenantContact;"
                " settings: dict | None = None; created_at: datetime"
            ),
            **uses(name, 700, "name"),
        ),
        finding(
            name,
            552,
            "SUBSCRIPTIONS",
            "Dict[str, Subscription]",
            record="Subscription",
            key="str",
            comment="Partially migrated",
            tenant="tenant_id",
            fields=fields("subscription_id: str; tenant_id: str; plan_id: str; status: str"),
            reasons=(
                "written by a request handler",
                "partly migrated: an ORM model `Subscription` exists in database.py",
            ),
        ),
        finding(
            name,
            553,
            "INVOICES",
            "Dict[str, Invoice]",
            record="Invoice",
            key="str",
            tenant="tenant_id",
            money=("total",),
            fields=fields("invoice_id: UUID; tenant_id: str; total: Decimal; line_items: list[LineItem]"),
        ),
        finding(
            name,
            554,
            "PAYMENTS",
            "Dict[str, Payment]",
            record="Payment",
            key="str",
            tenant="tenant_id",
            money=("amount",),
            fields=fields(
                "payment_id: UUID; invoice_id: UUID; tenant_id: str; amount: float;"
                " currency: str = 'USD'; method: PaymentMethod;"
                " status: Literal['pending', \"it's paid\"];"
                " stripe_payment_id: str | None = None; processed_at: datetime"
            ),
            **uses(name, 710, "invoice_id"),
        ),
        finding(
            name,
            555,
            "USAGE_RECORDS",
            "List[UsageRecord]",
            record="UsageRecord",
            tenant="tenant_id",
            time_fields=("timestamp",),
            fields=fields(
                "id: UUID; tenant_id: str; metric: str; quantity: int; timestamp: datetime; metadata: dict[str, Any]"
            ),
            **uses(name, 720, "tenant_id", "metric", order="-timestamp"),
        ),
        finding(name, 556, "INVOICE_COUNTER", "int", counter=True, rebound=True),
    ]


def farm() -> list[Finding]:
    """The guide's other services, one store or more each."""
    return [
        finding(
            "crop-health-ai",
            41,
            "DiagnosisService._history",
            "List[Dict[str, Any]]",
            end_line=90,
            in_place=True,
            path="apps/services/crop-health-ai/src/services/diagnosis_service.py",
            bounded="older records are dropped at 1000",
            places=("latitude", "longitude"),
            time_fields=("created_at",),
            fields=fields(
                "id: str; disease_id: str; confidence: float; governorate: str | None; farmer_id: str | None;"
                " latitude: float; longitude: float; created_at: datetime"
            ),
            **uses("crop-health-ai", 60, "governorate", order="-created_at"),
        ),
        finding(
            "notification-service",
            268,
            "FARMER_PROFILES",
            "Dict[str, FarmerProfile]",
            record="FarmerProfile",
            key="str",
            personal=("name", "phone"),
            fields=fields("farmer_id: str; name: str; phone: str | None; crops: list[str]; language: str = 'ar'"),
        ),
        finding(
            "notification-service",
            269,
            "NOTIFICATIONS",
            "Dict[str, Notification]",
            record="Notification",
            cls="leftover",
            reasons=("NotificationRepository took over",),
        ),
        finding(
            "task-service",
            214,
            "tasks_db",
            "dict[str, Task]",
            record="Task",
            key="str",
            tenant="tenant_id",
            fields=fields(
                "task_id: str; tenant_id: str; title: str; status: TaskStatus;"
                " field_id: str | None; assigned_to: str | None;"
                " due_date: datetime | None; scheduled_time: time | None; order: int; user: str"
            ),
            **uses("task-service", 300, "status", "field_id", "assigned_to", order="due_date"),
        ),
        finding(
            "task-service",
            215,
            "evidence_db",
            "dict[str, Evidence]",
            record="Evidence",
            key="str",
            fields=fields("evidence_id: str; task_id: str; type: str; content: str; captured_at: datetime"),
        ),
        finding("alert-service", 119, "_alerts", "dict[str, dict]", key="str"),
        finding("alert-service", 120, "_rules", "dict[str, dict]", key="str"),
        finding(
            "equipment-service",
            246,
            "equipment_db",
            "dict[str, Equipment]",
            record="Equipment",
            key="str",
            fields=fields(
                "equipment_id: str; name: str; serial_number: str | None;"
                " horsepower: float | None; purchase_date: date | None"
            ),
        ),
        finding(
            "equipment-service",
            247,
            "maintenance_db",
            "dict[str, MaintenanceRecord]",
            record="MaintenanceRecord",
            money=("cost",),
            fields=fields(
                "record_id: str; equipment_id: str; performed_at: datetime; cost: float | None; photos: list[str]"
            ),
        ),
        finding(
            "inventory-service",
            289,
            "settings_db",
            "dict",
            path="apps/services/inventory-service/src/alert_endpoints.py",
        ),
        vra(
            "vegetation-analysis-service",
            duplicates=(
                Place(
                    "apps/services/satellite-service/src/vra_generator.py",
                    267,
                    "VRAGenerator._prescription_store",
                    "satellite-service",
                ),
            ),
        ),
        finding("provider-config", 621, "provider_configs", "dict[str, ProviderConfig]", record="ProviderConfig"),
        finding(
            "iot-gateway",
            77,
            "DeviceRegistry._devices",
            "dict[str, Device]",
            path="apps/services/iot-gateway/src/registry.py",
            cls="registry",
            reasons=("devices announce themselves again",),
        ),
        finding("field-chat", 27, "ConnectionManager.active", "dict[str, WebSocket]", cls="connection-state"),
        finding("مزرعة", 3, "المهام", "dict[str, dict[str, list[int]]]", path="apps/services/مزرعة/main.py"),
    ]


def vra(service: str, **more: object) -> Finding:
    """The prescriptions that two services keep alike; generated on demand."""
    path = f"apps/services/{service}/src/vra_generator.py"
    door = route("POST /vra", path, 300)
    return finding(
        service,
        267,
        "VRAGenerator._prescription_store",
        "Dict[str, PrescriptionMap]",
        path=path,
        record="PrescriptionMap",
        writers=(Site(path, 290, "VRAGenerator.generate_prescription", "set item", door, (door,)),),
        **more,
    )


def guide(config: ScanConfig | None = None) -> Catalogue:
    """The guide's catalogue, ranked."""
    found = tuple(sorted([*billing(), *farm()], key=lambda each: (each.path, each.line)))
    services = tuple(sorted({each.service for each in found}))
    broken = Skipped("apps/services/old/main.py", 3, "Python 2: Missing parentheses in call to 'print'")
    return ranked(Catalogue(Path("/farm"), found, (broken,), files=40, seconds=0.5, services=services), config)
