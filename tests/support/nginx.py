"""A real nginx between clients and a daemon, in the three forms in which operators have one."""

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, get_args

import aiohttp
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct

from monitor.daemon.app import Daemon
from tests.support.programs import eventually, free_address, is_up, program, started

Form = Literal["compressing", "prefix", "tls"]
FORMS: Final[tuple[Form, ...]] = get_args(Form)
"""
``compressing``: it compresses JSON, and so makes each strong ETag weak. ``prefix``: the daemon is under ``/monitor/``.
``tls``: it ends TLS, and the daemon sees HTTP.
"""

_SERVERS: Final = {
    "compressing": "listen {address}; location / {{ proxy_pass {daemon}; proxy_set_header Host $host; "
    "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }}",
    "prefix": "listen {address}; location /monitor/ {{ proxy_pass {daemon}/; proxy_set_header Host $host; }}",
    "tls": "listen {address} ssl; ssl_certificate {folder}/leaf.pem; ssl_certificate_key {folder}/leaf.key; "
    "location / {{ proxy_pass {daemon}; proxy_set_header Host $host; proxy_set_header X-Forwarded-Proto $scheme; }}",
}
_CONFIG: Final = """
daemon off; master_process off; pid {folder}/pid; error_log stderr;
events {{ worker_connections 128; }}
http {{
  access_log off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  gzip on; gzip_vary on; gzip_proxied any; gzip_types text/plain text/css application/json application/javascript;
  server {{ {server} }}
}}
"""

_CA: Final = trustme.CA()
_LEAF: Final = _CA.issue_cert("127.0.0.1")
_KEY: Final = x509.load_pem_x509_certificate(_LEAF.cert_chain_pems[0].bytes()).public_key()
KEY_PIN: Final = b64encode(sha256(_KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()).decode()
"""The SHA-256 of the public key of nginx, in base64: a browser that is told it trusts the certificate."""


class Proxy(Struct, frozen=True):
    """``url``: of the daemon through nginx, with its path. ``ca_file``: of the certificate; None without TLS."""

    url: str
    ca_file: Path | None = None


@asynccontextmanager
async def nginx_before(daemon: Daemon, folder: Path, form: Form) -> AsyncIterator[Proxy]:
    """An nginx of this form in front of the daemon; its files are in ``folder``."""
    home, address = folder / "nginx", free_address()
    home.mkdir()
    (home / "leaf.pem").write_bytes(b"".join(pem.bytes() for pem in _LEAF.cert_chain_pems))
    _LEAF.private_key_pem.write_to_path(home / "leaf.key")
    _CA.cert_pem.write_to_path(home / "ca.pem")
    server = _SERVERS[form].format(address=address, daemon=daemon.url, folder=home)
    (home / "nginx.conf").write_text(_CONFIG.format(folder=home, server=server))
    scheme, path = "https" if form == "tls" else "http", "/monitor" if form == "prefix" else ""
    proxy = Proxy(f"{scheme}://{address}{path}", home / "ca.pem" if form == "tls" else None)
    command = (program("nginx"), "-p", str(home), "-c", str(home / "nginx.conf"), "-e", "stderr")
    async with started(*command, log=home / "log"), aiohttp.ClientSession() as session:
        await eventually(partial(is_up, session, f"{proxy.url}/-/healthy", verified=False), bool)
        yield proxy
