"""The objects of a run as `supervision.Detections`: pip install pyzmq numpy supervision

python detections.py tcp://127.0.0.1:5556            every message, for ever
python detections.py ipc:///tmp/masks --messages 5   five of them
"""

import argparse
import json
from collections.abc import Iterator

import numpy as np
import supervision as sv
import zmq


def receive(endpoint: str) -> Iterator[tuple[dict, sv.Detections]]:
    """Each frame's header, and its objects that have a mask."""
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.subscribe("masks/")
        socket.connect(endpoint)
        while True:
            _, header, *payloads = socket.recv_multipart()
            frame = json.loads(header)
            if frame["schema"] == "sam-pt-live/masks" and frame["version"] == 1:
                yield frame, detections(frame, payloads)


def detections(frame: dict, payloads: list[bytes]) -> sv.Detections:
    """Boxes, masks and ids; what else the wire says of an object is in `data`."""
    objects = [o for o in frame["objects"] if o["area"]]
    masks = np.zeros((len(objects), frame["height"], frame["width"]), bool)
    for mask, o in zip(masks, objects, strict=True):
        (x, y, w, h), (rows, columns) = o["bbox"], o["shape"]
        bits = np.unpackbits(np.frombuffer(payloads[o["payload"]], np.uint8), count=rows * columns)
        mask[y : y + h, x : x + w] = bits.reshape(rows, columns)
    corners = [[x, y, x + w, y + h] for x, y, w, h in (o["bbox"] for o in objects)]
    return sv.Detections(
        xyxy=np.array(corners, np.float32).reshape(-1, 4),
        mask=masks,
        confidence=np.array([o["score"] for o in objects], np.float32),
        class_id=np.zeros(len(objects), int),
        tracker_id=np.array([o["id"] for o in objects], int),
        data={name: np.array([o[name] for o in objects]) for name in ("state", "origin", "label")},
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("endpoint")
    parser.add_argument("--messages", type=int, default=0)
    options = parser.parse_args()
    for count, (frame, found) in enumerate(receive(options.endpoint), 1):
        for i in range(len(found)):
            print(frame["frame_id"], found.tracker_id[i], found.data["state"][i], int(found.area[i]), flush=True)
        if count == options.messages:
            break
