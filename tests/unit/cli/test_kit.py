"""`kit`: which files it writes, where, and what it says of arguments that do not fit."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from monitor import __version__
from monitor.cli import main
from monitor.kit.rules.settings import Settings
from monitor.kit.rules.write import all_rules

ROOT = Path(__file__).parents[3]
FOLDERS = {
    "unit": {"deploy/systemd", "deploy/requirements.txt"},
    "rules": {"deploy/prometheus/rules"},
    "dashboards": {"grafana/dashboards", "grafana/provisioning"},
    "alertmanager": {
        "deploy/prometheus/alertmanager.yml",
        "deploy/prometheus/templates",
        "deploy/prometheus/runbooks",
    },
    "web-config": {"deploy/web-config.yml"},
    "completion": {"completion"},
    "man": {"man"},
}


def kit(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["kit", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("part", FOLDERS)
def test_a_part_is_written_as_it_stands_in_the_repository(part: str, tmp_path: Path) -> None:
    """A file that is left out, stands elsewhere, or is another one; an installer that cannot be run."""
    result = kit(part, "--output", str(tmp_path))
    assert result.exit_code == 0
    written = files(tmp_path)
    assert written
    assert set(result.stdout.splitlines()) == {str(tmp_path / each) for each in written}
    for each in FOLDERS[part] - {"completion", "man"}:
        expected = files(ROOT / each) if (ROOT / each).is_dir() else {""}
        assert {f"{each}/{name}".rstrip("/") for name in expected} <= written
    for each in written if part not in {"completion", "man"} else ():
        assert (tmp_path / each).read_bytes() == (ROOT / each).read_bytes()
        assert (tmp_path / each).stat().st_mode & 0o777 == (0o755 if each.endswith(".sh") else 0o644)
    assert all(any(each == folder or each.startswith(f"{folder}/") for folder in FOLDERS[part]) for each in written)


def test_the_installer_finds_in_the_kit_what_it_reads(tmp_path: Path) -> None:
    """A file beside the folder of the installer that only a checkout has."""
    assert kit("unit", "--output", str(tmp_path)).exit_code == 0
    here = tmp_path / "deploy" / "systemd"
    read = re.findall(r"\$here/([\w./$-]+)", (here / "install.sh").read_text())
    assert len(read) >= 3
    assert [name for name in read if not (here / name.replace("$unit", "avi-upgrade-monitor")).is_file()] == []


def test_the_compose_file_finds_in_the_kit_what_it_mounts(tmp_path: Path) -> None:
    """A mount of a file that does not exist: an engine makes an empty folder of it."""
    assert kit("compose", "--output", str(tmp_path)).exit_code == 0
    compose = tmp_path / "deploy" / "container" / "compose.yaml"
    services = yaml.safe_load(compose.read_text())["services"].values()
    mounts = [mount.split(":")[0] for service in services for mount in service.get("volumes", ())]
    sources = [(compose.parent / mount).resolve() for mount in mounts if mount.startswith(".")]
    assert len(sources) >= 5
    assert [source for source in sources if not source.exists()] == []


def test_without_a_part_all_are_written(tmp_path: Path) -> None:
    assert kit("--output", str(tmp_path)).exit_code == 0
    folders = {folder for part in FOLDERS.values() for folder in part} | {"deploy/container/compose.yaml"}
    assert [folder for folder in folders if not (tmp_path / folder).exists()] == []


def test_the_dashboards_lead_to_the_page_that_is_named(tmp_path: Path) -> None:
    """A link to the page on the machine of the operator: the default is for a trial."""
    assert kit("dashboards", "--page", "https://watch.example.net/", "--output", str(tmp_path)).exit_code == 0
    boards = [json.loads(path.read_text()) for path in (tmp_path / "grafana" / "dashboards").iterdir()]
    pages = [each["query"] for board in boards for each in board["templating"]["list"] if each["name"] == "page"]
    assert pages == ["https://watch.example.net"] * 4


def test_rules_are_printed_where_no_folder_is_named() -> None:
    result = kit("rules", "--label", "team=net", "--format", "operator")
    assert result.stdout == all_rules(Settings(labels=(("team", "net"),)), "operator")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("unit", "--output is missing: without a folder, only the part rules can be printed."),
        ("", "--output is missing: without a folder, only the part rules can be printed."),
        ("unit --output FOLDER --stalled 15m", "are of the part rules, --page also of dashboards: name it, too."),
        ("rulez --output FOLDER", "'rulez' is not one of"),
        ("rules --selector job=x", 'found "job=x", expected a matcher such as job="x"'),
        ("rules --stalled 0s", 'found "0s", expected a duration of whole seconds'),
        ("rules --label a-b=c", 'found "a-b", expected the name of a label'),
        ("rules --grafana grafana:3000", 'found "grafana:3000", expected an http or https URL'),
        ("rules --page https://host/?a=b", 'found "https://host/?a=b", expected an http or https URL'),
        ("rules --keep pod", "found pod, expected none of instance, node and pod"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_and_nothing_is_written(
    arguments: str, message: str, tmp_path: Path
) -> None:
    result = kit(*shlex.split(arguments.replace("FOLDER", str(tmp_path))))
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert message in " ".join(result.stderr.split())


def test_a_folder_that_cannot_be_written_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "man").write_text("")
    result = kit("man", "--output", str(tmp_path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{tmp_path}/man/avi-upgrade-monitor.1: " in result.stderr


# --- the manual page and the completion


def commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def test_the_manual_page_has_every_command_with_its_options_and_the_version(tmp_path: Path) -> None:
    assert kit("man", "--output", str(tmp_path)).exit_code == 0
    page = (tmp_path / "man" / "avi-upgrade-monitor.1").read_text().replace("\\-", "-")
    assert f'"avi-upgrade-monitor {__version__}"' in page.splitlines()[0]
    sections = dict(each.split("\n", 1) for each in page.split("\n.SS ")[1:])
    for path, command in commands(main, "avi-upgrade-monitor"):
        (text,) = (body for head, body in sections.items() if f"{head} ".startswith(f"{path} ["))
        for option in (option for parameter in command.params for option in parameter.opts if option[0] == "-"):
            assert f".B {option}" in text


def test_no_line_of_the_manual_page_is_a_request_by_mistake(tmp_path: Path) -> None:
    """A text that begins with a dot vanishes in troff, and so does what follows a backslash."""
    assert kit("man", "--output", str(tmp_path)).exit_code == 0
    page = (tmp_path / "man" / "avi-upgrade-monitor.1").read_text()
    requests = {line.split()[0] for line in page.splitlines() if line.startswith((".", "'"))}
    assert requests <= {".TH", ".SH", ".SS", ".PP", ".TP", ".B", ".I"}
    assert "\\" in page
    assert all(each[0] in "-e&" for each in page.split("\\")[1:])


def test_bash_completes_commands_with_the_script(tmp_path: Path) -> None:
    """A script that asks for the completion under another variable than the program knows completes nothing."""
    assert kit("completion", "--output", str(tmp_path)).exit_code == 0
    assert {path.suffix for path in (tmp_path / "completion").iterdir()} == {".bash", ".zsh", ".fish"}
    (tmp_path / "avi-upgrade-monitor").write_text(f"#!{sys.executable}\nfrom monitor.__main__ import main\nmain()\n")
    (tmp_path / "avi-upgrade-monitor").chmod(0o755)
    script = f"""
        PATH={shlex.quote(str(tmp_path))}:$PATH
        source {shlex.quote(str(tmp_path / "completion" / "avi-upgrade-monitor.bash"))}
        COMP_WORDS=(avi-upgrade-monitor kit da) COMP_CWORD=2
        $(complete -p avi-upgrade-monitor | sed 's/.* -F \\([^ ]*\\) .*/\\1/') avi-upgrade-monitor da kit
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )
    assert (done.stdout, done.stderr) == ("dashboards\n", "")
