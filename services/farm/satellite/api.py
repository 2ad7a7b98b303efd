"""The satellite-service."""

from __future__ import annotations

from services.farm.vra.application import application

app = application("satellite-service")
