"""``token new``: the config accepts what it prints, and with it the token."""

import json
import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from monitor.cli import main
from monitor.config.access import Token, digest_of
from monitor.config.load import load


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["token", "new", *arguments])


def token_in(text: str) -> str:
    found = re.findall(r"aum_[A-Za-z0-9_-]{43}", text)
    assert len(found) == 1
    return str(found[0])


@pytest.mark.parametrize("name", ["alice", "o'hara: #1", 'the "boss"', "yes", "Zoë"])
def test_the_config_accepts_the_printed_line(tmp_path: Path, name: str) -> None:
    result = run("--name", name, "--scope", "annotate", "--scope", "metrics", "--controller", "dc1")
    (tmp_path / "password").write_text("x")
    line = next(line for line in result.output.splitlines() if line.strip().startswith("- {"))
    (tmp_path / "config.yml").write_text(
        "controllers: [{name: dc1, url: https://avi.example.net, username: svc, password_file: password}]\n"
        f"tokens:\n{line}\n"
    )
    assert load(tmp_path / "config.yml", {}).tokens == (
        Token(
            name=name,
            digest=digest_of(token_in(result.output)),
            scopes=frozenset({"annotate", "metrics"}),
            controllers=frozenset({"dc1"}),
        ),
    )


def test_json_contains_the_token_and_the_entry() -> None:
    answer = json.loads(run("--name", "ci", "--scope", "read", "--output", "json").output)
    assert answer["entry"] == {"name": "ci", "sha256": digest_of(answer["token"]).hex(), "scopes": ["read"]}


def test_each_token_is_new() -> None:
    assert len({token_in(run("--name", "a", "--scope", "read").output) for _ in range(5)}) == 5


def test_a_repeated_scope_is_listed_once() -> None:
    output = run("--name", "a", "--scope", "read", "--scope", "read").output
    (entry,) = yaml.safe_load(output[output.index("    - {") :])
    assert entry["scopes"] == ["read"]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("--name", "a"), id="no-scope"),
        pytest.param(("--scope", "read"), id="no-name"),
        pytest.param(("--name", "a", "--scope", "write"), id="unknown-scope"),
        pytest.param(("--name", "anonymous", "--scope", "read"), id="reserved-name"),
        pytest.param(("--name", "", "--scope", "read"), id="empty-name"),
        pytest.param(("--name", "a\nb", "--scope", "read"), id="unprintable-name"),
    ],
)
def test_what_the_config_would_reject_is_rejected_before_a_token_is_made(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "aum_" not in result.output
