"""The table of problems has every kind of the Literal, and its titles are not details."""

from typing import get_args

import pytest
from aiohttp import web

from monitor.model.errors import ProblemKind
from monitor.web.problems import HEADERS, PROBLEM_KINDS, from_http_exception


def test_the_table_has_every_kind_and_no_other() -> None:
    assert PROBLEM_KINDS.keys() == set(get_args(ProblemKind))
    assert HEADERS.keys() <= PROBLEM_KINDS.keys()


@pytest.mark.parametrize("kind", PROBLEM_KINDS)
def test_every_kind_has_an_error_status_and_a_title(kind: ProblemKind) -> None:
    status, title = PROBLEM_KINDS[kind]
    assert 400 <= status < 600
    assert title[0].isupper()
    assert not title.endswith(".")


@pytest.mark.parametrize(
    "error", [web.HTTPBadRequest(text="Host: CANARY"), web.HTTPExpectationFailed(text="CANARY")], ids=lambda e: e.reason
)
def test_any_other_error_of_aiohttp_is_a_bad_request_that_repeats_nothing_of_it(error: web.HTTPException) -> None:
    problem = from_http_exception(error, "/metrics")
    assert (problem.kind, problem.status) == ("bad-request", 400)
    assert problem.detail == f"the request cannot be handled: {error.reason}"
