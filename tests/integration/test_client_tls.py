"""How a Controller is verified: by an authority, by a pinned certificate, or not at all if so configured."""

import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from structlog.testing import capture_logs

from monitor.avi.client import Client
from monitor.avi.trust import verifying_context
from monitor.config.types import Tls
from monitor.model.errors import PollError, Unreachable
from monitor.model.snapshot import ObjectList
from monitor.simulator import ControllerSpec, SimulatedController, Simulator
from tests.support.daemons import connected, exposition, failed, polled, rewrite, samples, scrape, watching

NOTHING = ObjectList()
HOST = "127.0.0.1"
NOW = datetime.now(UTC).replace(microsecond=0)
INSECURE = Tls(insecure=True)


class Certificate:
    """The certificate of a simulated Controller, issued by the authority for a host and a time."""

    def __init__(self, authority: trustme.CA, host: str = HOST, **more: Any) -> None:  # noqa: ANN401  as trustme has it
        issued = authority.issue_cert(host, **more)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(self.context)
        self._parsed = x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())

    @property
    def pin(self) -> Tls:
        return Tls(fingerprints=frozenset({self.fingerprint}))

    @property
    def fingerprint(self) -> bytes:
        return hashlib.sha256(self._parsed.public_bytes(Encoding.DER)).digest()

    @property
    def expires_at(self) -> float:
        return self._parsed.not_valid_after_utc.timestamp()


Made = Callable[[trustme.CA], Certificate]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trust(authority: trustme.CA) -> Tls:
    return Tls(authorities=authority.cert_pem.bytes().decode())


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def certificate(authority: trustme.CA) -> Certificate:
    return Certificate(authority, not_after=NOW + timedelta(days=30))


@asynccontextmanager
async def simulated(certificate: Certificate) -> AsyncIterator[SimulatedController]:
    async with Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0, tls=certificate.context) as simulator:
        yield simulator.controllers["dc1"]


async def the_error(client: Client) -> PollError:
    with pytest.raises(PollError) as caught:
        await client.list_images(NOTHING)
    return caught.value


async def swap(dc1: SimulatedController, certificate: Certificate) -> None:
    """Use the other certificate from now on, for open connections, too."""
    dc1.swap_certificate(certificate.context)
    await dc1.stop_listening()
    await dc1.start_listening()


# -- by an authority


async def test_a_certificate_of_the_authority_is_accepted(certificate: Certificate, trust: Tls) -> None:
    async with simulated(certificate) as dc1, connected(dc1, tls=trust) as client:
        assert len((await client.list_images(NOTHING)).raws) == 1
        assert client.link.certificate_expires_at == certificate.expires_at
        await client.list_images(NOTHING)
        assert dc1.logins == 1  # so the cookies, which are Secure here, were sent


def _of_another_authority(_: trustme.CA) -> Certificate:
    return Certificate(trustme.CA())


def _for_another_host(authority: trustme.CA) -> Certificate:
    return Certificate(authority, "controller.example")


def _expired(authority: trustme.CA) -> Certificate:
    return Certificate(authority, not_before=NOW - timedelta(days=2), not_after=NOW - timedelta(days=1))


def _not_yet_valid(authority: trustme.CA) -> Certificate:
    return Certificate(authority, not_before=NOW + timedelta(days=1), not_after=NOW + timedelta(days=2))


UNTRUSTED = {
    "another-authority": (_of_another_authority, "unable to get local issuer|self-signed|verify failed"),
    "another-host": (_for_another_host, "IP address mismatch"),
    "expired": (_expired, "has expired"),
    "not-yet-valid": (_not_yet_valid, "not yet valid"),
}


@pytest.mark.parametrize(("made", "words"), UNTRUSTED.values(), ids=UNTRUSTED)
async def test_without_a_valid_certificate_the_password_is_not_sent(
    authority: trustme.CA,
    trust: Tls,
    made: Made,
    words: str,
) -> None:
    async with simulated(made(authority)) as dc1, connected(dc1, tls=trust) as client:
        with pytest.raises(Unreachable, match=words) as caught:
            await client.list_images(NOTHING)
        assert (caught.value.reason, caught.value.phase) == ("tls", "login")
        assert dc1.requests == []


async def test_by_default_the_authorities_of_the_system_are_used(certificate: Certificate) -> None:
    async with simulated(certificate) as dc1, connected(dc1) as client:
        assert (await the_error(client)).reason == "tls"
        assert dc1.requests == []


def test_what_a_certificate_must_have_does_not_depend_on_the_version_of_python() -> None:
    expected = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
    assert verifying_context().verify_flags == expected
    assert (verifying_context().verify_mode, verifying_context().check_hostname) == (ssl.CERT_REQUIRED, True)


async def test_an_intermediate_alone_is_trusted(authority: trustme.CA) -> None:
    intermediate = authority.create_child_ca()
    trust = Tls(authorities=intermediate.cert_pem.bytes().decode())
    async with simulated(Certificate(intermediate)) as dc1, connected(dc1, tls=trust) as client:
        assert len((await client.list_images(NOTHING)).raws) == 1
    async with simulated(Certificate(authority)) as dc1, connected(dc1, tls=trust) as client:
        assert (await the_error(client)).reason == "tls", "it does not make its own issuer trusted"


async def test_an_authority_without_the_extensions_of_today_is_trusted(tmp_path: Path) -> None:
    """Its basic constraints are not critical, and its certificates do not name its key: Python 3.13 refuses both."""
    authority, context = old_company_authority(tmp_path)
    simulator = Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0, tls=context)
    async with simulator, connected(simulator.controllers["dc1"], tls=Tls(authorities=authority)) as client:
        assert len((await client.list_images(NOTHING)).raws) == 1


def old_company_authority(folder: Path) -> tuple[str, ssl.SSLContext]:
    """An authority as companies made them ten years ago, PEM, and the context of a server with its certificate."""
    key, issuer = ec.generate_private_key(ec.SECP256R1()), x509.Name.from_rfc4514_string("CN=Old company CA")
    usage = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "encipher_only", "decipher_only"), False
    )  # fmt: skip
    constraints, names = x509.BasicConstraints(ca=True, path_length=None), [x509.IPAddress(ip_address(HOST))]
    authority = (
        _issued(issuer, issuer, key)
        .add_extension(constraints, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=False)
        .sign(key, SHA256())
    )
    own = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _issued(x509.Name.from_rfc4514_string("CN=controller"), issuer, own)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=False)
        .sign(key, SHA256())
    )
    pem = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "server.pem").write_bytes(pem + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return authority.public_bytes(Encoding.PEM).decode(), context


def _issued(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=30))
    )


# -- by a pin


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(_of_another_authority, id="unknown-authority"),
        pytest.param(_for_another_host, id="another-host"),
        pytest.param(_expired, id="expired"),
    ],
)
async def test_a_pinned_certificate_is_accepted_from_any_issuer(authority: trustme.CA, made: Made) -> None:
    certificate = made(authority)
    async with simulated(certificate) as dc1, connected(dc1, tls=certificate.pin) as client:
        assert len((await client.list_images(NOTHING)).raws) == 1
        assert client.link.certificate_expires_at == certificate.expires_at


async def test_with_another_certificate_than_the_pinned_one_the_password_is_not_sent(
    authority: trustme.CA, certificate: Certificate
) -> None:
    other = Certificate(authority)
    async with simulated(other) as dc1, connected(dc1, tls=certificate.pin) as client:
        error = await the_error(client)
        assert (error.reason, error.phase) == ("tls", "login")
        assert other.fingerprint.hex() in error.detail
        assert dc1.requests == []


async def test_a_swapped_certificate_fails_polls_until_the_pinned_one_is_back(
    authority: trustme.CA, certificate: Certificate
) -> None:
    async with simulated(certificate) as dc1, connected(dc1, tls=certificate.pin) as client:
        await client.list_images(NOTHING)
        await swap(dc1, Certificate(authority))
        seen = len(dc1.requests)
        assert (await the_error(client)).reason == "tls"
        assert len(dc1.requests) == seen  # the cookies were not sent either
        await swap(dc1, certificate)
        await client.list_images(NOTHING)
        assert dc1.logins == 1


async def test_of_two_pinned_certificates_either_is_accepted_and_no_third(authority: trustme.CA) -> None:
    """A portal has an RSA and an EC certificate, or an old and a new one while it is replaced."""
    old, new, other = (Certificate(authority) for _ in range(3))
    pins = Tls(fingerprints=old.pin.fingerprints | new.pin.fingerprints)
    async with simulated(old) as dc1, connected(dc1, tls=pins) as client:
        await client.list_images(NOTHING)
        await swap(dc1, new)
        await client.list_images(NOTHING)
        await swap(dc1, other)
        error = await the_error(client)
        assert error.reason == "tls"
        assert other.fingerprint.hex() in error.detail
        await swap(dc1, old)
        await client.list_images(NOTHING)
        assert dc1.logins == 1


# -- not at all


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(_of_another_authority, id="unknown-authority"),
        pytest.param(_for_another_host, id="another-host"),
        pytest.param(_expired, id="expired"),
    ],
)
async def test_without_verification_any_certificate_is_accepted_and_its_expiry_known(
    authority: trustme.CA,
    made: Made,
) -> None:
    certificate = made(authority)
    async with simulated(certificate) as dc1, connected(dc1, tls=INSECURE) as client:
        await client.list_images(NOTHING)
        assert client.link.certificate_expires_at == certificate.expires_at


async def test_the_expiry_is_that_of_the_last_certificate(authority: trustme.CA, certificate: Certificate) -> None:
    renewed = Certificate(authority, not_after=NOW + timedelta(days=300))
    async with simulated(certificate) as dc1, connected(dc1, tls=INSECURE) as client:
        await client.list_images(NOTHING)
        await swap(dc1, renewed)
        await client.list_images(NOTHING)
        assert client.link.certificate_expires_at == renewed.expires_at


# -- not TLS, or no end of it


async def test_plain_http_to_an_https_port_is_a_failure_to_connect(certificate: Certificate) -> None:
    async with (
        simulated(certificate) as dc1,
        connected(dc1, url=dc1.url.replace("https:", "http:")) as client,
    ):
        assert (await the_error(client)).reason == "connect"
        assert dc1.requests == []


async def test_https_to_a_plain_http_port_is_a_failure_of_tls() -> None:
    async with Simulator([ControllerSpec(name="dc1")], speed=0.0) as simulator:
        dc1 = simulator.controllers["dc1"]
        async with connected(dc1, url=dc1.url.replace("http:", "https:"), tls=INSECURE) as client:
            assert (await the_error(client)).reason == "tls"
        assert dc1.requests == []


async def test_a_handshake_that_never_ends_is_a_timeout(certificate: Certificate) -> None:
    async with simulated(certificate) as dc1:
        with socket.create_server((HOST, 0)) as mute:  # the kernel accepts the connection, and nothing is ever sent
            url = f"https://{HOST}:{mute.getsockname()[1]}"
            async with connected(dc1, url=url, tls=INSECURE, timeout_s=0.2) as client:
                assert (await the_error(client)).reason == "timeout"


# -- what the daemon shows of it


@pytest.mark.parametrize("mode", ["ca_file", "fingerprint", "fingerprints", "insecure_skip_verify"])
async def test_the_expiry_is_exported_however_the_controller_is_verified(
    certificate: Certificate, ca_file: Path, tmp_path: Path, mode: str
) -> None:
    pin = certificate.fingerprint.hex()
    settings: dict[str, object] = {
        "ca_file": str(ca_file), "fingerprint": pin, "fingerprints": ["1e" * 32, pin], "insecure_skip_verify": True,
    }  # fmt: skip
    simulator = Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0, tls=certificate.context)
    with capture_logs() as logs:
        async with simulator, watching(simulator, tmp_path, of_each={"tls": {mode: settings[mode]}}) as daemon:
            await polled(daemon, "dc1")
            series = await exposition(daemon)
    labels = (("controller", "dc1"),)
    insecure = mode == "insecure_skip_verify"
    assert series["avi_controller_tls_certificate_expiry_timestamp_seconds", labels] == certificate.expires_at
    assert series["avi_controller_tls_insecure", labels] == float(insecure)
    assert [log["controller"] for log in logs if log["event"] == "tls_insecure"] == ["dc1"] * insecure


async def test_a_plain_http_controller_has_no_expiry(tmp_path: Path) -> None:
    async with (
        Simulator([ControllerSpec(name="dc1")], speed=0.0) as simulator,
        watching(simulator, tmp_path) as daemon,
    ):
        await polled(daemon, "dc1")
        text = await scrape(daemon)
    assert samples(text, "avi_controller_tls_certificate_expiry_timestamp_seconds") == []
    assert samples(text, "avi_controller_tls_insecure") == [0.0]


async def test_a_ca_file_emptied_after_the_start_changes_nothing(
    authority: trustme.CA, certificate: Certificate, tmp_path: Path
) -> None:
    """It is read once, with the configuration; what was read is what is trusted."""
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    simulator = Simulator([ControllerSpec(name="dc1", images=1)], speed=0.0, tls=certificate.context)
    of_each = {"tls": {"ca_file": str(ca_file)}}
    async with simulator, watching(simulator, tmp_path, of_each=of_each) as daemon:
        await polled(daemon, "dc1")
        rewrite(ca_file, "")
        await swap(simulator.controllers["dc1"], Certificate(authority))
        await polled(daemon, "dc1", 2)
        await swap(simulator.controllers["dc1"], Certificate(trustme.CA()))
        entry = await failed(daemon, "dc1", "tls")
        assert entry.session.cause.startswith("images: ")
