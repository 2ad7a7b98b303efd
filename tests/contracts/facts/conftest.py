"""The facts service in every form, as the farm's services are tested."""

from __future__ import annotations

import pytest

from tests.contracts.farm.conftest import Opened, form, http, new_database, opened

__all__ = ["form", "http", "new_database", "opened"]


@pytest.fixture(autouse=True)
def as_often_as_one_likes(request: pytest.FixtureRequest) -> None:
    """Each test begins with a limiter that has counted nothing."""
    if "opened" in request.fixturenames:
        running: Opened = request.getfixturevalue("opened")
        running.module("access").limiter.__init__()
