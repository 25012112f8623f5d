"""A local Ray is reached from this machine only."""

import contextlib
import ipaddress
import os
import socket
import time
from pathlib import Path

import pytest
import ray
from ray._private import ray_constants

from dipray.sweep.cluster import running_ray

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's /proc"),
]


def process_tree(root):
    """The process and all that it started, directly or not."""
    children = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # the name, in brackets, may hold anything
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended meanwhile
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    tree = [root]
    for process in tree:
        tree += children.get(process, [])
    return tree


def open_sockets(process):
    """Inodes of the sockets that a process holds."""
    inodes = set()
    with contextlib.suppress(FileNotFoundError):  # the process has ended meanwhile
        for link in Path(f"/proc/{process}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # or closed the file
                target = str(link.readlink())
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
    return inodes


def as_address(digits):
    """The kernel's hexadecimal, in words of 32 bits of this machine's byte order."""
    words = [bytes.fromhex(digits[i : i + 8])[::-1] for i in range(0, len(digits), 8)]
    address = ipaddress.ip_address(b"".join(words))
    return getattr(address, "ipv4_mapped", None) or address


def listening():
    """(inode, address) of every TCP socket that listens."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if Path(table).exists():
            for line in Path(table).read_text().splitlines()[1:]:
                _, local, _, state, *_, inode = line.split()[:10]
                if state == "0A":
                    yield inode, as_address(local.partition(":")[0])


@ray.remote(num_cpus=0)
def whoami():
    return os.getpid()


def test_a_local_ray_listens_on_loopback_only(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with running_ray(None):
        workers = ray.get([whoami.remote() for _ in range(2)])
        ray.get(ray.put(1))
        (node,) = ray.nodes()
        assert node["NodeManagerAddress"] == "127.0.0.1"
        time.sleep(2)  # Ray's agents open their ports a little later
        tree = process_tree(os.getpid())
        assert set(workers) <= set(tree)
        mine = set().union(*map(open_sockets, tree))
        found = [address for inode, address in listening() if inode in mine]
    assert len(found) >= 5  # the store of the cluster's state, the raylet's two, the workers
    assert [str(address) for address in found if not address.is_loopback] == []


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_ray_that_is_asked_for_is_reached_where_it_listens(monkeypatch, elsewhere):
    """Ray takes 127.0.0.1 for another address of this machine, where one of loopback is not."""
    clusters = []
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "127.0.0.2")
    monkeypatch.setattr(
        ray, "init", lambda address, **_: clusters.append(ray_constants.ENABLE_RAY_CLUSTER)
    )
    before = ray_constants.ENABLE_RAY_CLUSTER
    with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as others:
        port = server.getsockname()[1]
        if elsewhere:
            others.enter_context(socket.create_server(("127.0.0.2", port)))
        with running_ray(f"127.0.0.1:{port}"):
            pass
    assert clusters == [before if elsewhere else False]
    assert ray_constants.ENABLE_RAY_CLUSTER is before
