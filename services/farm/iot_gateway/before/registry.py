"""The registry as it was: one dict in memory."""

from datetime import UTC, datetime, timedelta
from typing import Any

ONLINE_FOR = timedelta(minutes=15)


class DeviceRegistry:
    """Devices by the ids that they give themselves."""

    def __init__(self) -> None:
        self._devices: dict[str, dict[str, Any]] = {}

    def register(self, device_id: str, **fields: Any) -> dict[str, Any]:
        """A new device, or the same one described anew."""
        if device_id in self._devices:
            self._devices[device_id].update(fields)
        else:
            self._devices[device_id] = {
                "device_id": device_id,
                **fields,
                "created_at": datetime.now(UTC).isoformat(),
                "status": "unknown",
                "last_seen": None,
                "last_reading": None,
                "battery_level": None,
            }
        return self._devices[device_id]

    def get(self, device_id: str) -> dict[str, Any] | None:
        """The device of an id."""
        return self._devices.get(device_id)

    def remove(self, device_id: str) -> bool:
        """Whether there was one."""
        return self._devices.pop(device_id, None) is not None

    def listed(self, field_id: str | None = None, device_type: str | None = None) -> list[dict[str, Any]]:
        """All, of a field, or of a type."""
        if field_id:
            return [d for d in self._devices.values() if d["field_id"] == field_id]
        if device_type:
            return [d for d in self._devices.values() if d["device_type"] == device_type]
        return list(self._devices.values())

    def heard(self, device_id: str, reading: dict[str, Any]) -> None:
        """A device said something."""
        device = self._devices[device_id]
        device["last_reading"] = reading
        device["last_seen"] = datetime.now(UTC).isoformat()
        device["status"] = "online"

    def is_online(self, device_id: str) -> bool:
        """Whether it was heard within fifteen minutes."""
        seen = self._devices[device_id]["last_seen"]
        return seen is not None and datetime.now(UTC) - datetime.fromisoformat(seen) <= ONLINE_FOR

    def stats(self) -> dict[str, Any]:
        """How many there are, by status and by type."""
        by_type: dict[str, int] = {}
        for device in self._devices.values():
            by_type[device["device_type"]] = by_type.get(device["device_type"], 0) + 1
        states = [device["status"] for device in self._devices.values()]
        counts = {name: states.count(name) for name in ("online", "offline", "warning")}
        return {"total": len(states), **counts, "by_type": by_type}
