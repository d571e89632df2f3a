"""
The Controller's JSON on the wire: the fields that we read, under the Controller's own names.

Every field is optional, null and absent are the same, unknown fields are ignored.
Source: Avi API objects Image, ImageUploadOpsStatus, ImageEventMap and ImageEvent, releases 18.2.6 to 32.2.1.
"""

from typing import Final, Generic, TypeAlias, TypeVar

import msgspec

R = TypeVar("R")

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""Every exception that decoding can raise."""

Number: TypeAlias = float | str | None
"""Controllers write numbers as text, too. Times are text of several formats, or numbers."""


class Wire(msgspec.Struct, gc=False):
    """An object of the Controller's JSON; null and absent are the same."""


class Identity(Wire):
    uuid: str | None = None
    url: str | None = None


class TimeStamp(Wire):
    secs: Number = None
    usecs: Number = None


class Status(Wire):
    state: str | None = None
    reason: str | None = None
    last_changed_time: TimeStamp | None = None


class Address(Wire):
    addr: str | None = None


class Event(Wire):
    ip: Address | None = None
    start_time: Number = None
    end_time: Number = None
    duration: Number = None
    status: str | None = None
    message: str | None = None


class Events(Wire):
    task_name: str | None = None
    nodes_events: list[Event] | None = None
    sub_events: list[Event] | None = None


class Build(Wire):
    version: str | None = None
    patch_version: str | None = None


class Package(Wire):
    build: Build | None = None


class ImageAlone(Identity):
    """An image without its events."""

    last_modified: Number = msgspec.field(default=None, name="_last_modified")
    name: str | None = None
    tenant_ref: str | None = None
    type: str | None = None
    uber_bundle: bool | None = None
    progress: Number = None
    total_tasks: Number = None
    tasks_completed: Number = None
    duration: Number = None
    start_time: Number = None
    end_time: Number = None
    img_state: Status | None = None
    controller_info: Package | None = None
    se_info: Package | None = None


class Image(ImageAlone):
    events: list[Events] | None = None


class Page(Wire, Generic[R]):
    """``R``: the type of the array of images."""

    results: R
    count: int | str | None = None


class Version(Wire):
    """Lower-case in newer releases, capitalised in the log-in reply of older ones."""

    version: str | None = None
    capitalised: str | None = msgspec.field(default=None, name="Version")


class Versioned(Wire):
    version: Version | None = None
    session_cookie_name: str | None = None


class User(Wire):
    is_superuser: bool | None = None


class Tenant(Wire):
    name: str | None = None


class LoginReply(Wire):
    user: User | None = None
    tenants: list[Tenant] | None = None


class Error(Wire):
    error: str
