"""A Ray cluster of three hosts on this machine, as a process of its own: what it is told comes on its standard input.

kill NODE      the host dies at once
kill head      the cluster's head does; its host goes on
"""

from __future__ import annotations

import json
import sys

from ray.cluster_utils import Cluster

HOSTS = {"a": {"camera-net-a": 1}, "b": {"camera-net-b": 1}, "c": {"camera-net-b": 1}}
STORE_BYTES = 80 << 20  # of objects, of which there are none


def main(folder: str) -> None:
    cluster = Cluster()
    nodes = {}
    for name, resources in HOSTS.items():
        head = {} if nodes else {"include_dashboard": False, "temp_dir": folder}
        node = cluster.add_node(num_cpus=2, resources=resources, object_store_memory=STORE_BYTES, **head)
        nodes[node.node_id] = (name, node)
    names = {node_id: name for node_id, (name, _) in nodes.items()}
    print(json.dumps({"address": cluster.address, "nodes": names}), flush=True)
    for line in sys.stdin:
        wanted = line.split()[1]
        if wanted == "head":
            cluster.head_node.kill_gcs_server()
        else:
            cluster.remove_node(nodes[wanted][1], allow_graceful=False)
    cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
