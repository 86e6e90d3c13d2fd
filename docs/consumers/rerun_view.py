"""Frames, masks and points in the Rerun viewer: pip install pyzmq numpy rerun-sdk; run with --set publisher.scenes=true

python rerun_view.py tcp://127.0.0.1:5556                              opens the viewer
python rerun_view.py tcp://127.0.0.1:5556 --save run.rrd --messages 9  writes a recording instead
"""

import argparse
import json

import numpy as np
import rerun as rr
import zmq


def log(header: dict, payloads: list[bytes]) -> None:
    """One frame, on the time line of its number and of the moment that it was captured."""
    root = header["camera"]
    rr.set_time("frame", sequence=header["frame_id"])
    rr.set_time("captured", timestamp=header["captured_unix_ns"] / 1e9)
    rr.log(f"{root}/picture", rr.EncodedImage(contents=payloads[header["picture"]["payload"]], media_type="image/jpeg"))
    labels = np.zeros((header["height"], header["width"]), np.uint16)
    for o in header["objects"]:
        (x, y, w, h), (rows, columns) = o["bbox"], o["shape"]
        bits = np.unpackbits(np.frombuffer(payloads[o["payload"]], np.uint8), count=rows * columns)
        labels[y : y + h, x : x + w][bits.reshape(rows, columns)[:h, :w] == 1] = o["id"]
        seen = [(px, py) for px, py, label, visibility in o["points"] if label == 1 and visibility > 0.5]
        rr.log(f"{root}/points/{o['id']}", rr.Points2D(seen, class_ids=[o["id"]] * len(seen)))
        rr.log(f"{root}/score/{o['id']}", rr.Scalars(o["score"]))
        rr.log(f"{root}/state/{o['id']}", rr.TextLog(f"{o['state']} {o['reason']}".strip()))
    rr.log(f"{root}/picture/masks", rr.SegmentationImage(labels))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("endpoint")
    parser.add_argument("--save", metavar="FILE.rrd")
    parser.add_argument("--messages", type=int, default=0)
    options = parser.parse_args()
    rr.init("sam-pt-live", spawn=not options.save)
    if options.save:
        rr.save(options.save)
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.subscribe("scenes/")
        socket.connect(options.endpoint)
        count = 0
        while not options.messages or count < options.messages:
            _, text, *parts = socket.recv_multipart()
            scene = json.loads(text)
            if scene["schema"] == "sam-pt-live/scenes" and scene["version"] == 1:
                log(scene, parts)
                count += 1
                print(scene["frame_id"], *(f"{o['id']}:{o['area']}" for o in scene["objects"]), flush=True)
