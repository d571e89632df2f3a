"""The declarations in ``api.d.ts`` are of what the daemon sends, and nothing of the type check is shipped."""

import re
from importlib.resources import files
from pathlib import Path
from typing import Final

import msgspec
import pytest
from msgspec import inspect

from monitor.model.tracked import Eta
from monitor.polling.status import ImageStatus
from monitor.polling.upgrade_status import (
    CheckCounts,
    EngineCounts,
    OldestEngine,
    UnitStatus,
    UpgradeStatus,
    VirtualServiceCounts,
)
from monitor.web.problems import ProblemDetails
from monitor.web.responses import (
    AuditEntry,
    CheckException,
    ControllerStatus,
    DryRun,
    Engine,
    NodeEvent,
    NodePage,
    TaskPage,
)
from monitor.web.stream.messages import ChangeMessage, Part, ReadStatus, ResourcePart, SessionStatus, StateMessage

FOLDER: Final = Path(__file__).parent
DECLARED: Final = (FOLDER / "api.d.ts").read_text()
ALIASES: Final = dict(re.findall(r"^type (\w+) = (.+);$", DECLARED, re.MULTILINE))
SENT: Final[list[type[msgspec.Struct]]] = [
    AuditEntry,
    ChangeMessage,
    CheckCounts,
    CheckException,
    Engine,
    EngineCounts,
    Eta,
    ImageStatus,
    NodeEvent,
    NodePage,
    OldestEngine,
    Part,
    ControllerStatus,
    ProblemDetails,
    ReadStatus,
    DryRun,
    ResourcePart,
    SessionStatus,
    StateMessage,
    TaskPage,
    UnitStatus,
    UpgradeStatus,
    VirtualServiceCounts,
]


SCALARS: Final[dict[type[inspect.Type], str]] = {
    inspect.AnyType: "unknown",
    inspect.BoolType: "boolean",
    inspect.FloatType: "number",
    inspect.IntType: "number",
    inspect.NoneType: "null",
    inspect.StrType: "string",
}


@pytest.mark.parametrize("struct", [pytest.param(struct, id=struct.__name__) for struct in SENT])
def test_the_declared_interface_has_the_members_of_the_struct(struct: type[msgspec.Struct]) -> None:
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    omits_defaults = struct.__struct_config__.omit_defaults
    unset = {field.name for field in msgspec.structs.fields(struct) if field.default is msgspec.UNSET}
    sent = {}
    for field in info.fields:
        optional = field.name in unset or (omits_defaults and not field.required)
        sent[f"{field.encode_name}{'?' if optional else ''}"] = typescript(field.type)
    assert declared(struct.__name__) == sent


def declared(name: str) -> dict[str, str]:
    """The members of an interface, with ``?`` where they are optional; and their types, without aliases."""
    found = re.search(rf"^interface {name} \{{\n(.*?)^\}}", DECLARED, re.MULTILINE | re.DOTALL)
    assert found, f"api.d.ts declares no {name}"
    members = re.findall(r"^  (\w+\??): (.+);$", found[1], re.MULTILINE)
    return {member: re.sub(r"\w+", lambda word: ALIASES.get(word[0], word[0]), text) for member, text in members}


def typescript(kind: inspect.Type) -> str:
    """The type in TypeScript. Words that the page only displays are declared as ``string``."""
    match kind:
        case inspect.Metadata(type=inner):
            return typescript(inner)
        case inspect.UnionType(types=types):
            return " | ".join(sorted((typescript(each) for each in types), key=lambda text: text == "null"))
        case inspect.LiteralType(values=values):
            words = {f'"{value}"' for value in values}
            return next((text for text in ALIASES.values() if set(text.split(" | ")) == words), "string")
        case inspect.CollectionType(item_type=item):
            return f"{typescript(item)}[]"
        case inspect.TupleType(item_types=items):
            return f"[{', '.join(map(typescript, items))}]"
        case inspect.DictType(value_type=value):
            return f"Record<string, {typescript(value)}>"
        case inspect.StructType(cls=cls):
            return "RawImage" if cls.__name__ == "Image" else cls.__name__
        case _:
            return SCALARS[type(kind)]


def test_the_page_has_only_files_that_are_served() -> None:
    page = files("monitor.web") / "page"
    assert {Path(each.name).suffix for each in page.iterdir()} == {".html", ".css", ".js", ".svg"}


def test_the_pin_of_each_node_package_has_a_hash_and_names_no_registry() -> None:
    lock = msgspec.json.decode((FOLDER.parent / "node" / "package-lock.json").read_bytes())
    packages = [each for path, each in lock["packages"].items() if path]
    assert all(each["integrity"].startswith("sha512-") for each in packages)
    assert not any("resolved" in each for each in packages)
