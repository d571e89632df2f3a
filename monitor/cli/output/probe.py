"""The result of probing one controller as lines for a person. Everything that a Controller sent is foreign text."""

from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import islice
from typing import Final

from monitor.avi.link import Link
from monitor.avi.values import version_key
from monitor.cli.output.format import format_duration
from monitor.cli.output.tables import format_time, percent_text, tasks_text
from monitor.config.types import Controller, Tls
from monitor.config.validation import printable
from monitor.daemon.probe import ProbedResource, ProbeResult
from monitor.model.upgrade import UnitKind, Upgrade

_MOST_OBJECTS: Final = 20  # a screen; a Controller may have thousands
_EXPIRES_SOON_S: Final = 21 * 86400.0  # as the alert AviControllerCertificateExpiring
_CLOCK_TOLERANCE_S: Final = 5.0  # more makes the times of an image differ visibly from ours
_LABEL_WIDTH: Final = 13
_KINDS: Final[Mapping[UnitKind, str]] = {
    "controller": "cluster",
    "se_group": "SE group",
    "se": "SE",
    "unknown": "unknown unit",
}


def describe_probe(controller: Controller, result: ProbeResult, *, now: float) -> Iterator[str]:
    """Yield one line that says how it went, then what was found, indented. ``now``: Unix seconds."""
    link = result.link
    images, *others = result.resources
    verdict = f"failed, {result.error}" if result.error else _good(link, f"{_count(images)} images")
    yield printable(f"{controller.name}: {verdict}")
    yield from _rows("account", _describe_account(controller.username, link))
    if controller.write and result.write_error is not None:
        yield from _rows("write", _describe_write_account(controller.write.username, result))
    yield from _rows("certificate", _describe_certificate(controller, result.certificate, now=now))
    yield from _rows("clock", _describe_clock(link))
    if not result.error:
        yield from _rows("images", _describe_images(images))
        for units in others:
            yield from _rows("upgrades", _describe_units(units))
        plain_kb, compressed_kb = result.body_bytes / 1000, result.compressed_bytes / 1000
        size = f"{result.series} series: {plain_kb:.1f} kB a scrape, {compressed_kb:.1f} kB compressed"
        yield from _rows("exported", [f"{size}; the poll took {result.took_s:.2f} s"])


def _good(link: Link, objects: str) -> str:
    return f"ok, version {link.version}, api_version {link.api_version}, {objects}"


def _rows(label: str, texts: list[str]) -> Iterator[str]:
    for text in texts:
        yield printable(f"  {label:<{_LABEL_WIDTH}}{text}")
        label = ""


def _count(resource: ProbedResource) -> int:
    return len(resource.objects) + len(resource.undecodable) + resource.unidentified


def _describe_account(username: str, link: Link) -> list[str]:
    """Return nothing when the log-in failed."""
    if link.clock_ahead_s is None and not link.version:
        return []
    rights = {
        True: "a superuser: more than this needs; a role with read access to Image and Controller is enough",
        False: "not a superuser",
        None: "the Controller does not say what it may do",
    }[link.account.superuser]
    tenants = link.account.tenants
    more = f" and {len(tenants) - _MOST_OBJECTS} more" if len(tenants) > _MOST_OBJECTS else ""
    sees = [f"sees the tenants {', '.join(tenants[:_MOST_OBJECTS])}{more}"] if tenants else []
    return [f"{username}: {rights}", *sees]


def _describe_write_account(username: str, result: ProbeResult) -> list[str]:
    if result.write_error:
        return [f"{username}: failed, {result.write_error}"]
    superuser = " as a superuser" if result.write_link.account.superuser else ""
    return [f"{username}: logged in{superuser}; whether it may change images shows only when it does"]


def _describe_certificate(controller: Controller, certificate: bytes | None, *, now: float) -> list[str]:
    if controller.url.startswith("http:"):
        return ["none: with http:// the password is sent unencrypted"]
    if certificate is None:
        return []
    from cryptography import x509  # noqa: PLC0415  takes 10 MB of memory; not needed without TLS

    try:
        parsed = x509.load_der_x509_certificate(certificate)
    except ValueError:
        return ["one that cannot be read"]
    left_s = parsed.not_valid_after_utc.timestamp() - now
    when = f"expires at {format_time(parsed.not_valid_after_utc.timestamp())}"
    left = f"in {left_s / 86400:.0f} days" if left_s > 0 else "it has expired"
    soon = ": renew it soon" if left_s < _EXPIRES_SOON_S else ""
    return [
        f"{parsed.subject.rfc4514_string()}, {when}, {left}{soon}",
        f"{_verified_by(controller.tls)}; its SHA-256 is {sha256(certificate).hexdigest()}",
    ]


def _verified_by(tls: Tls) -> str:
    if tls.insecure:
        return "not verified (insecure_skip_verify)"
    if tls.fingerprints:
        return "verified by its fingerprint"
    return "verified by ca_file" if tls.authorities is not None else "verified by the CAs of the system"


def _describe_clock(link: Link) -> list[str]:
    ahead_s = link.clock_ahead_s
    if ahead_s is None:
        return []
    if abs(ahead_s) <= _CLOCK_TOLERANCE_S:
        return [f"agrees with that of this machine to {_CLOCK_TOLERANCE_S:.0f} s"]
    direction = "ahead of" if ahead_s > 0 else "behind"
    return [f"{format_duration(abs(ahead_s))} {direction} that of this machine: set both by NTP"]


def _describe_images(resource: ProbedResource) -> list[str]:
    if not _count(resource):
        return ["none: there are none, or the account sees none in this tenant"]
    states = Counter(each.state for each in resource.objects)
    lines = [", ".join(f"{count} {state}" for state, count in sorted(states.items()))] if states else []
    unfinished_first = sorted(resource.objects, key=lambda each: each.state == "completed")
    for each in unfinished_first[:_MOST_OBJECTS]:
        progress = percent_text(each).strip() or "no progress given"
        tasks = f"{tasks_text(each)} tasks" if tasks_text(each) else ""
        lines.append("  ".join(filter(None, (each.name or each.uuid, each.state, progress, tasks))))
    if len(resource.objects) > _MOST_OBJECTS:
        lines.append(f"and {len(resource.objects) - _MOST_OBJECTS} more")
    return lines + _describe_left_out(resource, "events")


def _describe_units(resource: ProbedResource) -> list[str]:
    match resource.failure:
        case "forbidden":
            return ["403: give the role read access to Controller (PERMISSION_CONTROLLER)"]
        case "absent":
            return ["404: there is no upgrade status before 18.2.6"]
        case str():
            return [f"failed: {resource.failure}; the log says why"]
        case None:
            pass
    units = [each for each in resource.objects if isinstance(each, Upgrade)]
    kinds = Counter(unit.kind for unit in units)
    counts = [f"{kinds[kind]} {name}{'s' * (kinds[kind] != 1)}" for kind, name in _KINDS.items() if kinds[kind]]
    versions = sorted({unit.version.version for unit in units if unit.version.version}, key=version_key)
    return [
        ", ".join([*counts, *versions]) or "none: the Controller lists none",
        *_describe_left_out(resource, "upgrades"),
    ]


def _describe_left_out(resource: ProbedResource, budgets: str) -> list[str]:
    lines = [
        f"{uuid} cannot be read, and is left out: {cause}"
        for uuid, cause in islice(resource.undecodable.items(), _MOST_OBJECTS)
    ]
    if resource.unidentified:
        lines.append(f"{resource.unidentified} without uuid, left out")
    if resource.dropped:
        lines.append(f"{resource.dropped} series are beyond the budgets of `{budgets}`, and are left out")
    return lines
