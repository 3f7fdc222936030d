"""etcd, the API server and the controllers: all that keeps, checks and controls objects."""

import http.client
import json
import socket
import ssl
from contextlib import closing
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from tools.kubernetes.certificates import Authority, Pair
from tools.kubernetes.servers import Servers

LOOPBACK = "127.0.0.1"
CONTEXT = "brownout-tests"
NODE = "node-1"
_PATIENCE_S = 120.0
"""For a busy machine; a quiet one takes some 5 s."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where the API server is, and how it is known for who it is."""

    url: str
    authority: Authority
    aggregator: Path
    """Who signs for the API server where it passes a request on to another server (a certificate, PEM)."""
    folder: Path

    def kubeconfig(self, user: str, *, group: str) -> Path:
        """Write a kubeconfig for a user of a group; a file that only its owner can read."""
        pair = self.authority.issue(user, group=group)
        cluster = {"server": self.url, "certificate-authority": str(self.authority.pair.certificate)}
        credentials = {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": CONTEXT, "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
            "current-context": CONTEXT,
        }
        path = self.folder / f"{user.replace(':', '-')}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")
        return path


def start(servers: Servers, folder: Path, binaries: Path, *, host: str, services: IPv4Network, nodes: bool) -> Access:
    """Start them and return once the API server is ready. `host` is the only address that they listen at.

    Raises:
        Failed: they do not start.
    """
    authority = Authority(folder / "certificates")
    etcd_port, peer_port, port = (_free_port(host) for _ in range(3))
    # One that signs for nobody else: who shows its certificate is believed whatever user it names.
    aggregators = Authority(folder / "aggregators")
    aggregator = aggregators.issue("aggregator")
    access = Access(f"https://{host}:{port}", authority, aggregators.pair.certificate, folder)
    first = str(services[1])
    names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")
    server = authority.issue("kube-apiserver", at=[host, first, *names])
    accounts = authority.issue("service-accounts")
    etcd = authority.issue("etcd", at=[host])
    _start_etcd(
        servers, folder, authority, etcd, url=f"https://{host}:{etcd_port}", peer=f"http://{LOOPBACK}:{peer_port}"
    )
    ca = str(authority.pair.certificate)
    to_kubelets = authority.issue("to-kubelets", group="system:masters")
    servers.start(
        "kube-apiserver",
        [
            str(binaries / "kube-apiserver"),
            *(f"--bind-address={host}", f"--secure-port={port}", f"--service-cluster-ip-range={services}"),
            *(
                f"--tls-cert-file={server.certificate}",
                f"--tls-private-key-file={server.key}",
                f"--client-ca-file={ca}",
            ),
            *(f"--etcd-servers=https://{host}:{etcd_port}", f"--etcd-cafile={ca}"),
            *(f"--etcd-certfile={etcd.certificate}", f"--etcd-keyfile={etcd.key}"),
            *("--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged"),
            "--service-account-issuer=https://kubernetes.default.svc",
            *(f"--service-account-key-file={accounts.key}", f"--service-account-signing-key-file={accounts.key}"),
            *(f"--kubelet-client-certificate={to_kubelets.certificate}", f"--kubelet-client-key={to_kubelets.key}"),
            "--kubelet-preferred-address-types=InternalIP",
            *(f"--requestheader-client-ca-file={access.aggregator}", "--requestheader-allowed-names=aggregator"),
            *("--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group"),
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            *(f"--proxy-client-cert-file={aggregator.certificate}", f"--proxy-client-key-file={aggregator.key}"),
            # Pods find it at the address that it listens at; without any, it is nobody's business.
            *([f"--advertise-address={host}"] if nodes else ["--endpoint-reconciler-type=none"]),
        ],
    )
    admin = authority.issue("probe", group="system:masters")
    servers.until("the API server", lambda: _ready(host, port, ca, admin), within=_PATIENCE_S)
    _start_controllers(servers, access, binaries, accounts=accounts, nodes=nodes)
    return access


def _start_etcd(servers: Servers, folder: Path, authority: Authority, pair: Pair, *, url: str, peer: str) -> None:
    ca = str(authority.pair.certificate)
    servers.start(
        "etcd",
        [
            *("etcd", "--name=one", f"--data-dir={folder / 'etcd'}", "--logger=zap", "--log-level=warn"),
            *(f"--listen-client-urls={url}", f"--advertise-client-urls={url}"),
            *(f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=one={peer}"),
            *(f"--cert-file={pair.certificate}", f"--key-file={pair.key}"),
            *("--client-cert-auth", f"--trusted-ca-file={ca}"),
            # It lasts as long as its cluster: nothing need survive a power cut.
            "--unsafe-no-fsync",
        ],
    )


def _start_controllers(servers: Servers, access: Access, binaries: Path, *, accounts: Pair, nodes: bool) -> None:
    config = access.kubeconfig("system:kube-controller-manager", group="")
    servers.start(
        "kube-controller-manager",
        [
            *(str(binaries / "kube-controller-manager"), f"--kubeconfig={config}", "--secure-port=0"),
            *("--leader-elect=false", "--use-service-account-credentials"),
            f"--root-ca-file={access.authority.pair.certificate}",
            f"--service-account-private-key-file={accounts.key}",
            # What happens to a node that is drained or dies is what tests wait for.
            *("--node-monitor-grace-period=20s", "--horizontal-pod-autoscaler-sync-period=5s"),
        ],
    )
    if nodes:
        config = access.kubeconfig("system:kube-scheduler", group="")
        argv = [str(binaries / "kube-scheduler"), f"--kubeconfig={config}", "--secure-port=0", "--leader-elect=false"]
        servers.start("kube-scheduler", argv)


def _ready(host: str, port: int, ca: str, pair: Pair) -> bool:
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(pair.certificate, pair.key)
    with closing(http.client.HTTPSConnection(host, port, timeout=5, context=context)) as connection:
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False


def _free_port(host: str) -> int:
    with socket.socket() as found:
        found.bind((host, 0))
        return int(found.getsockname()[1])
