"""A time-stamp authority for tests: ``openssl ts -reply`` behind a small HTTP server on loopback."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.witnessing import Reply, ToldServer, told

_CONFIG = """
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
certs = {folder}/root.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
[usage]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = {usage}
"""


class Authority:
    """A root certificate, a signer below it, and a clock that is this machine's."""

    def __init__(self, folder: Path, usage: str = "critical, timeStamping") -> None:
        self.folder = folder
        folder.mkdir()
        self.config = folder / "openssl.cnf"
        self.config.write_text(_CONFIG.format(folder=folder, usage=usage))
        (folder / "serial").write_text("01\n")
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        self.openssl(
            "req", "-x509", *key, "-keyout", "root.key", "-out", "root.pem", "-subj", "/CN=test root", "-days", "9"
        )
        self.openssl("req", *key, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=test authority")
        self.openssl(
            "x509", "-req", "-in", "tsa.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial",
            "-out", "tsa.pem", "-days", "9", "-extfile", str(self.config), "-extensions", "usage",
        )  # fmt: skip

    @property
    def root(self) -> Path:
        return self.folder / "root.pem"

    def openssl(self, *words: str, content: bytes = b"", fails: bool = False) -> bytes:
        done = subprocess.run(["openssl", *words], cwd=self.folder, input=content, capture_output=True)
        assert bool(done.returncode) is fails, done.stderr.decode()
        return done.stdout + done.stderr

    def answer(self, request: bytes) -> bytes:
        (self.folder / "request").write_bytes(request)
        self.openssl(
            "ts", "-reply", "-config", str(self.config), "-section", "here", "-queryfile", "request", "-out", "reply"
        )
        return (self.folder / "reply").read_bytes()

    def request(self, data: bytes, *options: str) -> bytes:
        """A request that openssl makes."""
        (self.folder / "data").write_bytes(data)
        return self.openssl("ts", "-query", "-data", "data", "-sha256", "-cert", *options)


@contextlib.contextmanager
def stamping(answer: Callable[[bytes], bytes], tls: ssl.SSLContext | None = None) -> Iterator[ToldServer]:
    """A server that answers requests so; ``tls``: by https."""
    kind = "application/timestamp-reply"
    with told(lambda _method, _path, body: Reply(200, answer(body), kind), tls) as server:
        yield server
