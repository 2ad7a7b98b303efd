"""The stores: this module is all that outlive asks of the service, beside `outlive.install`."""

from __future__ import annotations

import copy
from typing import Self, cast

import outlive
from services.farm.common.app import declare
from services.farm.notifications import models
from services.farm.notifications.records import (
    FarmerChannel,
    FarmerCrop,
    FarmerField,
    Message,
    Notification,
    Preference,
    Profile,
)

service = declare("notifications", __file__)

LISTED = outlive.JsonView(names={"user_id": "farmer_id"}, hide=("shown_until",))
BROADCAST = outlive.JsonView(hide=("shown_until", "user_id", "is_read", "read_at"))


class NotificationRepository(outlive.Repository):
    """Notifications with all that their farmer sees, unless another view is asked for."""

    json_view = LISTED

    def seen(self, view: outlive.JsonView) -> Self:
        """The same records with another view of them."""
        other = copy.copy(self)
        vars(other)["json_view"] = view
        return other


profiles = outlive.mapping(
    "farmer_profiles", Profile, key="farmer_id", model=models.ProfileRow, service=service, indexes=["governorate"]
)
crops = outlive.mapping(
    "farmer_crops", FarmerCrop, key="key", model=models.CropRow, service=service,
    indexes=["farmer_id", ("crop_type", "governorate")],
)  # fmt: skip
fields = outlive.mapping(
    "farmer_fields", FarmerField, key="key", model=models.FieldRow, service=service,
    indexes=["farmer_id"],
)  # fmt: skip
channels = outlive.mapping(
    "farmer_channels", FarmerChannel, key="key", model=models.ChannelRow, service=service,
    indexes=["farmer_id"],
)  # fmt: skip
notifications = outlive.mapping(
    "notifications", Notification, key="id", model=models.NotificationRow, repository=NotificationRepository,
    service=service, indexes=[("user_id", "created_at"), "shown_until", ("type", "expires_at")],
)  # fmt: skip
preferences = outlive.mapping(
    "notification_preferences", Preference, key="key", model=models.PreferenceRow, service=service,
    indexes=["user_id"],
)  # fmt: skip
outbox = outlive.mapping(
    "notification_outbox", Message, key="key", model=models.MessageRow, service=service,
    indexes=[("state", "due_at"), ("user_id", "state")],
)  # fmt: skip


def told(view: outlive.JsonView = LISTED) -> NotificationRepository:
    """Notifications in this view."""
    return cast(NotificationRepository, notifications.repository).seen(view)
