"""The certificates of one cluster: made when it starts, of a key that ends with it."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_DAYS = "7"


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Signs what the parts of a cluster show each other. Everything lies in one folder that is the owner's alone."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self._folder = folder
        self._serial = 0
        self.pair = self._pair("ca")
        self._openssl(
            *("req", "-x509", "-new", "-key", str(self.pair.key), "-subj", "/CN=brownout-tests", "-days", _DAYS),
            *("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign"),
            *("-out", str(self.pair.certificate)),
        )

    def issue(self, name: str, *, group: str = "", at: Sequence[str] = ()) -> Pair:
        """A certificate for a user, and the group it is of (CN and O), or for a server at these names and addresses."""
        made = self._pair(name.replace(":", "-"))
        subject = f"/O={group}/CN={name}" if group else f"/CN={name}"
        extensions = ["keyUsage=critical,digitalSignature", "extendedKeyUsage=clientAuth,serverAuth"]
        if at:
            entries = [f"{'IP' if one.replace('.', '').isdigit() else 'DNS'}:{one}" for one in at]
            extensions.append(f"subjectAltName={','.join(entries)}")
        extra = made.key.with_suffix(".ext")
        extra.write_text("\n".join(extensions) + "\n", encoding="ascii")
        request = made.key.with_suffix(".csr")
        self._openssl("req", "-new", "-key", str(made.key), "-subj", subject, "-out", str(request))
        self._serial += 1
        self._openssl(
            *("x509", "-req", "-in", str(request), "-CA", str(self.pair.certificate), "-CAkey", str(self.pair.key)),
            *("-set_serial", str(self._serial), "-days", _DAYS, "-extfile", str(extra)),
            *("-out", str(made.certificate)),
        )
        return made

    def _pair(self, name: str) -> Pair:
        made = Pair(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(made.key))
        made.key.chmod(0o600)
        return made

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=True)
