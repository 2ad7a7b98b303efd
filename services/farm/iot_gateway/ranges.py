"""Which values a sensor can have, and which device has such a sensor."""

from __future__ import annotations

# Lowest and highest value of a sensor type; a type that is not named has no limits.
LIMITS: dict[str, tuple[float, float]] = {
    "soil_moisture": (0, 100),
    "soil_temperature": (-50, 80),
    "soil_ec": (0, 50),
    "soil_ph": (0, 14),
    "ph": (0, 14),
    "air_temperature": (-60, 70),
    "temperature": (-60, 80),
    "air_humidity": (0, 100),
    "humidity": (0, 100),
    "leaf_wetness": (0, 100),
    "rainfall": (0, 1000),
    "wind_speed": (0, 120),
    "wind_direction": (0, 360),
    "solar_radiation": (0, 2000),
    "water_level": (0, 1000),
    "water_flow": (0, 100_000),
    "battery": (0, 100),
}
DEVICES = (
    ("soil", "soil_sensor"),
    ("air", "weather_station"),
    ("temperature", "weather_station"),
    ("humidity", "weather_station"),
    ("rain", "weather_station"),
    ("wind", "weather_station"),
    ("solar", "weather_station"),
    ("leaf", "weather_station"),
    ("water_flow", "flow_meter"),
    ("flow", "flow_meter"),
    ("water", "water_sensor"),
    ("ph", "water_sensor"),
    ("valve", "valve_controller"),
    ("camera", "camera"),
    ("image", "camera"),
)


def in_range(sensor_type: str, value: float) -> bool:
    """Whether such a sensor can say this."""
    low, high = LIMITS.get(sensor_type.lower(), (float("-inf"), float("inf")))
    return low <= value <= high


def device_type_of(sensor_type: str) -> str:
    """The type of device that has such a sensor, `unknown` if none is known."""
    kind = sensor_type.lower()
    return next((device for start, device in DEVICES if kind.startswith(start)), "unknown")
