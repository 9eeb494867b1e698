"""A witness and a time-stamp authority by https: a real TLS server on loopback, whose certificate counts."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.anchoring import Ledger
from tests.stamping import Authority, stamping
from tests.witnessing import RealWitness, Reply, told
from vaultd.anchor import kept, timestamp, witness
from vaultd.anchor.faults import NoAnswerError
from vaultd.config.ledger import TimestampConfig, WitnessConfig
from vaultd.demo.sshd import LOOPBACK

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9"]


USAGE = "keyUsage=critical,keyCertSign,cRLSign"
"""Python 3.13 asks for it, as RFC 5280 does."""


@dataclass(frozen=True)
class Certificates:
    """A certificate authority of its own, and what it certifies."""

    folder: Path

    def make(self, name: str, *words: str) -> Path:
        file = self.folder / f"{name}.pem"
        command = ["openssl", "req", "-x509", *KEY, "-keyout", file.with_suffix(".key"), "-out", file, *words]
        subprocess.run(command, check=True, capture_output=True)
        return file

    @property
    def root(self) -> Path:
        file = self.folder / "root.pem"
        return file if file.exists() else self.make("root", "-subj", "/CN=hospital", "-addext", USAGE)

    def server(self, names: str) -> ssl.SSLContext:
        """What a server of these names shows."""
        root = self.root
        file = self.make(
            "server", "-subj", "/CN=server", "-CA", str(root), "-CAkey", str(root.with_suffix(".key")), "-addext",
            f"subjectAltName={names}", "-addext", "basicConstraints=critical,CA:FALSE",
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file, file.with_suffix(".key"))
        return context


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    (tmp_path / "tls").mkdir()
    return Certificates(tmp_path / "tls")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


def test_a_real_witness_behind_tls_cosigns(
    tmp_path: Path, ledger: Ledger, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.root))
    real = RealWitness(tmp_path / "witness")
    real.trust(ledger.origin, ledger.signer.verifier.encoded())

    def forward(method: str, path: str, body: bytes) -> Reply:
        with contextlib.closing(http.client.HTTPConnection(LOOPBACK, real.port, timeout=30)) as connection:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return Reply(answer.status, answer.read(), answer.headers["Content-Type"])

    with real, told(forward, certificates.server(f"IP:{LOOPBACK}")) as front:
        config = WitnessConfig(name="w1", url=front.url, key=real.key)
        for _time in range(2):
            ledger.grow(3)
            assert witness.submit(config, ledger.folder, ledger.note()).new
    assert front.url.startswith("https://")
    assert kept.sizes(ledger.folder, kept.WITNESS, "w1")[-1] == ledger.size


def test_an_authority_behind_tls_stamps(
    tmp_path: Path, ledger: Ledger, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.root))
    authority = Authority(tmp_path / "tsa")
    with stamping(authority.answer, certificates.server(f"IP:{LOOPBACK}")) as server:
        config = TimestampConfig(name="tsa", url=server.url, ca=authority.root)
        assert timestamp.stamp(config, ledger.folder, ledger.note()).new


@pytest.mark.parametrize("fault", ["another root", "another name"])
def test_a_server_whose_certificate_does_not_hold_is_told_nothing(
    ledger: Ledger, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    trusted = certificates.make("other", "-subj", "/CN=other") if fault == "another root" else certificates.root
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    names = f"IP:{LOOPBACK}" if fault == "another root" else "DNS:elsewhere.example"
    key = "witness.example/w1+f5802c19+BEgHWll+choVbi4Hmd5cwMUyTcbn6vHN1GJQho7FMhXd"
    with told(lambda *_asked: Reply(), certificates.server(names)) as server:
        for ask in (
            lambda: witness.submit(WitnessConfig(name="w1", url=server.url, key=key), ledger.folder, ledger.note()),
            lambda: timestamp.stamp(
                TimestampConfig(name="tsa", url=server.url, ca=trusted), ledger.folder, ledger.note()
            ),
        ):
            with pytest.raises(NoAnswerError, match="certificate") as caught:
                ask()
            assert "SSL_CERT_FILE" in caught.value.hint
        assert server.asked == []
    assert not (ledger.path / "anchors").exists()
