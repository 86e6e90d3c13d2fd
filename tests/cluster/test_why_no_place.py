"""What a camera is told that no host of a Ray cluster has room for."""

from __future__ import annotations

import pytest

NEEDS = {"num_cpus": 2.0, "num_gpus": 0.25, "resources": {"camera-net-a": 0.01}}


def node(address, **resources):
    return {"NodeID": f"id of {address}", "Alive": True, "NodeManagerAddress": address, "Resources": resources}


@pytest.fixture
def why_not(monkeypatch):
    ray = pytest.importorskip("ray", reason="pip install -r requirements-ray.txt -c constraints.txt")
    from stream.supervision.placing import ray_driver

    def ask(nodes, avoid=()):
        monkeypatch.setattr(ray, "nodes", lambda: nodes)
        return ray_driver.why_not(NEEDS, list(avoid))

    return ask


@pytest.mark.ray
def test_each_host_is_named_with_what_it_lacks(why_not):
    full = {"CPU": 8.0, "GPU": 1.0, "camera-net-a": 1.0}
    gone = {**node("10.0.0.9", **full), "Alive": False}
    hosts = [node("10.0.0.1", CPU=1.0), node("10.0.0.2", **full), node("10.0.0.3", **full), gone]
    assert why_not(hosts, avoid=["id of 10.0.0.3"]) == (
        "it needs CPU 2, GPU 0.25, camera-net-a 0.01; 10.0.0.1 has CPU 1, GPU 0, camera-net-a 0; "
        "10.0.0.2 has it all, but others have taken it, or it is slow; 10.0.0.3 did not answer a moment ago"
    )


@pytest.mark.ray
def test_a_cluster_without_hosts_is_said(why_not):
    assert why_not([]).endswith("no host of the cluster is alive")
