"""TLS by the server itself: `rill serve --tls-cert FILE --tls-key FILE`."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from asr.errors import ConfigError


@dataclass(frozen=True)
class Tls:
    """The files of a certificate (with its chain) and of its private key, both in PEM form."""

    certificate: Path
    key: Path

    @classmethod
    def of(cls, certificate: Path | None, key: Path | None) -> Tls | None:
        """None without options; raises ConfigError for one of the two, or for unusable files."""
        if certificate is None and key is None:
            return None
        if certificate is None:
            raise ConfigError(f"--tls-key {key}: needs --tls-cert, the certificate of this key")
        if key is None:
            raise ConfigError(f"--tls-cert {certificate}: needs --tls-key, its private key")
        tls = cls(certificate, key)
        tls.context()
        return tls

    def context(self) -> ssl.SSLContext:
        """A context of a server; raises ConfigError for missing, damaged or unmatched files."""
        for option, path in (("--tls-cert", self.certificate), ("--tls-key", self.key)):
            try:
                path.read_bytes()
            except OSError as error:
                raise ConfigError(f"{option} {path}: {error.strerror}") from None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # Without a password here, OpenSSL asks for one at the terminal.
            context.load_cert_chain(self.certificate, self.key, password=_refuse_password)
        except _Encrypted:
            raise ConfigError(
                f"--tls-key {self.key}: the key has a password; write one without: "
                f"openssl pkey -in {self.key} -out KEY"
            ) from None
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise ConfigError(
                    f"--tls-key {self.key}: not the key of --tls-cert {self.certificate}"
                ) from None
            self._raise_for_the_damaged_one(error)
        return context

    def _raise_for_the_damaged_one(self, error: ssl.SSLError) -> None:
        try:
            certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            certificates.load_verify_locations(self.certificate)
        except ssl.SSLError:
            raise ConfigError(
                f"--tls-cert {self.certificate}: no usable certificate in PEM form"
            ) from None
        reason = (error.reason or str(error)).replace("_", " ").lower()
        raise ConfigError(
            f"--tls-key {self.key}: no usable private key in PEM form for "
            f"--tls-cert {self.certificate} ({reason})"
        ) from None


class _Encrypted(Exception):
    """The key is encrypted."""


def _refuse_password() -> str:
    raise _Encrypted
