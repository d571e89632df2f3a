"""What an image demands before an upgrade to it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.avi.image_requirements import decode_requirements
from monitor.model.image import MandatoryPatch, Requirements
from tests.support.strategies import BOUNDED

REF = "https://10.0.0.1/api/image/image-"


def decoded(**fields: Any) -> Requirements:  # noqa: ANN401
    return decode_requirements(msgspec.Raw(msgspec.json.encode(fields)))


def test_versions_are_written_with_underscores_or_dots() -> None:
    found = decoded(migrations={"versions": ["20_1_6", "22.1.6"], "max_active_versions": "2"})
    assert found == Requirements(("20.1.6", "22.1.6"), 2)


def test_a_patch_is_named_by_a_reference_or_by_its_name_alone() -> None:
    found = decoded(controller_patch_ref=f"{REF}1#by its ref", se_patch_name="by its name")
    assert found.patches == (
        MandatoryPatch("Controllers", "image-1", "by its ref"),
        MandatoryPatch("Service Engines", "", "by its name"),
    )


def test_older_releases_name_a_patch_by_its_uuid() -> None:
    found = decoded(se_patch_uuid="image-2", se_patch_name="2p1")
    assert found.patches == (MandatoryPatch("Service Engines", "image-2", "2p1"),)


@pytest.mark.parametrize("fields", [{}, {"migrations": None, "controller_patch_ref": ""}], ids=["absent", "empty"])
def test_an_image_that_demands_nothing(fields: dict[str, Any]) -> None:
    assert decoded(**fields) == Requirements()


@given(st.binary())
@BOUNDED
def test_what_cannot_be_decoded_demands_nothing(body: bytes) -> None:
    assert decode_requirements(msgspec.Raw(body)) == Requirements()
