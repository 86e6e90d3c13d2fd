"""Frames with their masks drawn in: pip install pyzmq numpy opencv-python; the run has --set publisher.scenes=true

python opencv_overlay.py tcp://127.0.0.1:5556                   in a window, until a key is pressed
python opencv_overlay.py tcp://127.0.0.1:5556 --save still.png  one frame, to a file
"""

import argparse
import json

import cv2
import numpy as np
import zmq


def draw(header: dict, payloads: list[bytes]) -> np.ndarray:
    """(H, W, 3) uint8 BGR: the frame, every mask tinted by its object's id."""
    picture = cv2.imdecode(np.frombuffer(payloads[header["picture"]["payload"]], np.uint8), cv2.IMREAD_COLOR)
    picture = cv2.resize(picture, (header["width"], header["height"]))  # a relay may send it smaller
    for o in header["objects"]:
        (x, y, w, h), (rows, columns) = o["bbox"], o["shape"]
        if not o["area"]:
            continue
        bits = np.unpackbits(np.frombuffer(payloads[o["payload"]], np.uint8), count=rows * columns)
        inside = bits.reshape(rows, columns) == 1
        crop = picture[y : y + h, x : x + w]
        hue = np.uint8([[[37 * o["id"] % 180, 255, 255]]])
        crop[inside] = (0.5 * crop[inside] + 0.5 * cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0]).astype(np.uint8)
        text = f"{o['label'] or o['id']} {o['state']}"
        cv2.putText(picture, text, (x, max(12, y - 4)), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
    return picture


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("endpoint")
    parser.add_argument("--save", metavar="FILE.png")
    options = parser.parse_args()
    with zmq.Context() as context, context.socket(zmq.SUB) as socket:
        socket.subscribe("scenes/")
        socket.connect(options.endpoint)
        while True:
            _, text, *parts = socket.recv_multipart()
            scene = json.loads(text)
            if scene["schema"] != "sam-pt-live/scenes" or scene["version"] != 1:
                continue
            drawn = draw(scene, parts)
            if options.save:
                cv2.imwrite(options.save, drawn)
                areas = [f"{o['id']}:{o['area']}" for o in scene["objects"]]
                print(scene["frame_id"], *areas, flush=True)
                break
            cv2.imshow("objects", drawn)
            if cv2.waitKey(1) != -1:
                break
