"""One node: containerd, kubelet and kube-proxy, in namespaces that end with it.

Processes, mounts and the network are the node's own, so that whatever it leaves behind (shims, mounts, bridges,
rules of iptables) goes when its first process does. What is shared with this machine is the kernel: cgroups, which
are one folder and are removed, and settings of the kernel, which a kubelet would change and is kept from changing.
"""

import base64
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.kubernetes import archive, resource_metrics
from tools.kubernetes.cgroups import Cgroup
from tools.kubernetes.control_plane import NODE, Access
from tools.kubernetes.network import Network
from tools.kubernetes.servers import Failed, Servers

_PATIENCE_S = 120.0
_PAUSE = "brownout.dev/pause:1"
_OVER = ("/run", "/var/lib", "/var/log")
"""Where a runtime and a kubelet write something whatever folders they are given: what they write stays the node's."""
_VOLUMES = 8
_KERNEL = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What a kubelet sets (k8s.io/component-helpers/node/util/sysctl): it finds it set, in files that are the node's."""


class Node:
    """`open` makes its namespaces and its cable, `join` starts it, `close` removes what outlasts its processes."""

    def __init__(self, folder: Path, binaries: Path, network: Network, *, logs: Path) -> None:
        self._logs = logs
        self._folder = folder / "node"
        self._binaries = binaries
        self._network = network
        self._cgroup = Cgroup(folder.name)
        self._socket = self._folder / "containerd.sock"
        self._inside: subprocess.Popen[bytes] | None = None

    def open(self, servers: Servers) -> None:
        """Make it, and start containerd, which is quick.

        Raises:
            Failed: the kernel lacks something, or does not allow it.
        """
        self._folder.mkdir()
        self._cgroup.make()
        code = Path(__file__).with_name("inside.py")
        namespaces = ["--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"]
        argv = ["unshare", *namespaces, sys.executable, "-I", str(code)]
        self._inside = servers.start("node", argv, end=signal.SIGKILL)
        self._tell(self._mounts())
        self._cable()
        self._tell([self._containerd()])
        servers.until("containerd", self._socket.exists, within=_PATIENCE_S)
        self._import_pause()

    def join(self, servers: Servers, access: Access) -> dict[str, str]:
        """Start what makes a node of it; return once it is ready, with what the environment tells of it.

        Raises:
            Failed: it does not become ready.
        """
        kubelet = access.kubeconfig(f"system:node:{NODE}", group="system:nodes")
        proxy = access.kubeconfig("system:kube-proxy", group="")
        agents = access.kubeconfig("agents", group="system:masters")
        started = [self._kube_proxy(proxy), *self._agents(access, agents)]
        self._tell([*started, self._kubelet(kubelet, str(access.authority.pair.certificate))])
        admin = str(access.kubeconfig("admin", group="system:masters"))
        kubectl = [str(self._binaries / "kubectl"), f"--kubeconfig={admin}"]

        def ready() -> bool:
            asked = [*kubectl, "wait", "--for=condition=Ready", f"node/{NODE}", "--timeout=1s"]
            return not subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode

        servers.until("the node", ready, within=_PATIENCE_S)
        authority = base64.b64encode(access.authority.pair.certificate.read_bytes()).decode()
        items = [*self._volumes(), *resource_metrics.objects(authority, address=self._network.node)]
        given = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        _done([*kubectl, "create", "-f", "-"], given=given)
        # A group of the API that does not answer would keep namespaces from being deleted.
        answers = f"apiservice/{resource_metrics.API_SERVICE}"
        _done([*kubectl, "wait", "--for=condition=Available", answers, f"--timeout={_PATIENCE_S:.0f}s"])
        return {"BROWNOUT_TEST_LOAD_IMAGES": f"ctr --address {self._socket} --namespace k8s.io images import -"}

    def close(self) -> None:
        """Remove the cgroups. Its processes are gone."""
        self._cgroup.remove()

    def _tell(self, what: Any) -> None:
        if self._inside is None or self._inside.stdin is None:
            msg = "the node is not open"
            raise Failed(msg)
        self._inside.stdin.write(json.dumps(what).encode() + b"\n")
        self._inside.stdin.flush()

    def _mounts(self) -> dict[str, Any]:
        bound = {}
        for name, value in _KERNEL.items():
            file = self._folder / name.replace("/", "-")
            file.write_text(f"{value}\n", encoding="ascii")
            bound[f"/proc/sys/{name}"] = str(file)
        over = {}
        for place in _OVER:
            own = self._folder / f"over{place.replace('/', '-')}"
            for part in ("upper", "work"):
                (own / part).mkdir(parents=True)
            over[place] = str(own)
        return {"over": over, "bound": bound}

    def _cable(self) -> None:
        first = self._first_process()
        here = self._network
        outside = (
            f"ip link add {here.device} type veth peer name eth0 netns {first}",
            f"ip address add {here.host}/30 dev {here.device}",
            f"ip link set {here.device} up",
            *(f"ip route add {network} via {here.node}" for network in (here.pods, here.services)),
        )
        inside = (
            "ip link set lo up",
            f"ip address add {here.node}/30 dev eth0",
            "ip link set eth0 up",
            f"ip route add default via {here.host}",
            "sysctl -q -w net.ipv4.ip_forward=1",
        )
        for line in (*outside, *(f"nsenter --net=/proc/{first}/ns/net {one}" for one in inside)):
            _done(line.split())

    def _first_process(self) -> int:
        assert self._inside is not None  # noqa: S101 - for the type checker
        parent = self._inside.pid
        for _ in range(100):
            found = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii").split()
            if found:
                return int(found[0])
            time.sleep(0.05)
        msg = "the node's namespaces cannot be made"
        raise Failed(msg)

    def _containerd(self) -> tuple[str, list[str], str]:
        folder = self._folder
        (folder / "cni").mkdir()
        (folder / "cni" / "10-bridge.conflist").write_text(json.dumps(self._bridge(), indent=1), encoding="utf-8")
        config = folder / "containerd.toml"
        config.write_text(
            f"""version = 2
root = "{folder}/containerd"
state = "{folder}/state"
[grpc]
address = "{self._socket}"
[plugins."io.containerd.internal.v1.opt"]
path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{_PAUSE}"
stream_server_port = "0"
disable_apparmor = true
restrict_oom_score_adj = true
max_container_log_line_size = 16384
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{folder}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
""",
            encoding="utf-8",
        )
        return "containerd", ["containerd", "--config", str(config)], str(self._logs / "containerd.log")

    def _bridge(self) -> dict[str, Any]:
        addresses = {
            "type": "host-local",
            "dataDir": str(self._folder / "addresses"),
            "ranges": [[{"subnet": str(self._network.pods)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        # In hairpin mode a pod reaches itself by its service, too.
        bridge = {"type": "bridge", "bridge": "pods", "isGateway": True, "ipMasq": False, "hairpinMode": True}
        plugins = [{**bridge, "ipam": addresses}, {"type": "portmap", "capabilities": {"portMappings": True}}]
        return {"cniVersion": "1.0.0", "name": "pods", "plugins": plugins}

    def _kubelet(self, kubeconfig: Path, authority: str) -> tuple[str, list[str], str]:
        folder = self._folder
        (folder / "resolv.conf").write_text("", encoding="ascii")
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self._network.node,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": authority},
            },
            "authorization": {"mode": "Webhook"},
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self._cgroup.name}",
            "containerRuntimeEndpoint": f"unix://{self._socket}",
            "failSwapOn": False,
            "failCgroupV1": False,
            "podLogsDir": str(folder / "pod-logs"),
            "resolvConf": str(folder / "resolv.conf"),
            "clusterDomain": "cluster.local",
            "clusterDNS": [self._network.node],
            "volumePluginDir": str(folder / "plugins"),
            "healthzPort": 0,
            "registerNode": True,
            "nodeStatusUpdateFrequency": "4s",
            # The disk is this machine's, and how full it is says nothing of the cluster.
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "serializeImagePulls": False,
            "shutdownGracePeriod": "0s",
        }
        file = folder / "kubelet.json"
        file.write_text(json.dumps(config, indent=1), encoding="utf-8")
        argv = [str(self._binaries / "kubelet"), f"--config={file}", f"--kubeconfig={kubeconfig}"]
        argv += [f"--hostname-override={NODE}", f"--node-ip={self._network.node}", f"--root-dir={folder / 'kubelet'}"]
        # How old the figures may be that autoscalers go by: half of the usual.
        argv += [f"--cert-dir={folder / 'pki'}", "--housekeeping-interval=5s"]
        return "kubelet", argv, str(self._logs / "kubelet.log")

    def _volumes(self) -> list[dict[str, Any]]:
        # What a provisioner would make when they are claimed: folders of the node, of no class.
        items = []
        for number in range(_VOLUMES):
            folder = self._folder / f"volume-{number}"
            folder.mkdir()
            here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
            spec = {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "persistentVolumeReclaimPolicy": "Retain",
                "local": {"path": str(folder)},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
            }
            metadata = {"name": f"local-{number}"}
            items.append({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec})
        return items

    def _kube_proxy(self, kubeconfig: Path) -> tuple[str, list[str], str]:
        none = {"maxPerCore": 0, "min": 0, "tcpCloseWaitTimeout": "0s", "tcpEstablishedTimeout": "0s"}
        config = {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(kubeconfig)},
            "mode": "iptables",
            "clusterCIDR": str(self._network.pods),
            "hostnameOverride": NODE,
            "healthzBindAddress": "",
            "metricsBindAddress": "",
            # Those are settings of the kernel.
            "conntrack": none,
            "iptables": {"minSyncPeriod": "100ms", "syncPeriod": "30s"},
        }
        file = self._folder / "kube-proxy.json"
        file.write_text(json.dumps(config, indent=1), encoding="utf-8")
        argv = [str(self._binaries / "kube-proxy"), f"--config={file}"]
        return "kube-proxy", argv, str(self._logs / "kube-proxy.log")

    def _agents(self, access: Access, kubeconfig: Path) -> list[tuple[str, list[str], str]]:
        known = f"--kubeconfig={kubeconfig}"
        agents = {
            "dns": [str(self._binaries / "dns"), known, f"--listen={self._network.node}:53"],
            "policies": [str(self._binaries / "policies"), known],
            "metrics": resource_metrics.command(self._binaries, access, kubeconfig, address=self._network.node),
        }
        return [(name, argv, str(self._logs / f"{name}.log")) for name, argv in agents.items()]

    def _import_pause(self) -> None:
        file = self._folder / "pause.tar"
        archive.write(file, _PAUSE, {"pause": self._binaries / "pause"}, entrypoint=["/pause"])
        ctr = ["ctr", "--address", str(self._socket), "--namespace", "k8s.io", "images", "import", str(file)]
        for attempt in range(50):
            done = subprocess.run(ctr, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if not done.returncode:
                return
            time.sleep(0.1 * (attempt + 1))
        msg = f"the pause image cannot be imported: {done.stderr.strip()}"
        raise Failed(msg)


def _done(argv: Sequence[str], *, given: str = "") -> None:
    done = subprocess.run(argv, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        msg = f"{' '.join(argv)}: {done.stderr.strip()}"
        raise Failed(msg)
