"""Frames in, what a camera makes of them out: changing light, blur, noise, and the marks of two codecs."""

from __future__ import annotations

import io

import cv2
import numpy as np

from stream.arrays import Array
from tools.clips.curves import wander
from tools.clips.textures import Rng, Size, fractal

# x264's AVX-512 routines for the macroblock tree take what lies about in memory into account: the same frames give
# another file each time. Without them, the pictures are those that a processor with AVX2 gives.
AVX512 = 256  # OpenCV's number of the set that x264 means
WITHOUT_AVX512 = "MMX2,SSE2Fast,SSSE3,SSE4.2,AVX,FMA3,BMI2,AVX2"


def blur_along(image: Array, shift: Array) -> Array:
    """An image blurred along a motion (2,) px during the exposure."""
    length = float(np.hypot(*shift))
    if length < 1.2:
        return image
    reach = min(int(np.ceil(length / 2)), 20)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    for s in np.linspace(-0.5, 0.5, 2 * reach + 3):
        x, y = np.clip(np.rint(reach + s * shift * min(1.0, 2 * reach / length)), 0, 2 * reach).astype(int)
        kernel[y, x] += 1
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE))


class CameraEffects:
    """Light, softness and noise of one clip; drawn once, applied to each frame."""

    def __init__(self, rng: Rng, size: Size, frames: int) -> None:
        self._rng = rng
        self.gain = wander(rng, rng.choice([0.02, 0.08, 0.25]), rng.uniform(20, 120))
        self.warmth = wander(rng, rng.choice([0.0, 0.03]), 80)
        self.soft = float(rng.choice([0, 0.5, 0.8, 1.2]))
        self.crisp = float(rng.choice([0, 0, 0.6]))
        self.noise = float(rng.choice([0.8, 2, 4, 7], p=[0.4, 0.3, 0.2, 0.1]))
        self.gray = rng.random() < 0.03
        gamma = rng.uniform(0.8, 1.25)
        self._levels = np.arange(256, dtype=np.float32) / 255
        self._gamma = gamma
        self._grain = rng.normal(0, self.noise, (size[0] + 64, size[1] + 64, 1)).astype(np.float32)
        if rng.random() < 0.5:  # coarser, as denoised and compressed noise is
            self._grain = cv2.GaussianBlur(self._grain, (0, 0), 0.8)[..., None] * 1.8
        self._grain = np.rint(self._grain).astype(np.int16)

    def apply(self, rgb: Array, t: int) -> Array:
        """The (H, W, 3) uint8 picture of a scene (uint8)."""
        if self.soft:
            rgb = cv2.GaussianBlur(rgb, (0, 0), self.soft)
        if self.crisp:
            rgb = cv2.addWeighted(rgb, 1 + self.crisp, cv2.GaussianBlur(rgb, (0, 0), 1.2), -self.crisp, 0)
        curve = 255 * self._levels**self._gamma * np.exp(self.gain(t))
        warm = self.warmth(t)
        tables = np.stack([curve * (1 + warm), curve, curve * (1 - warm)], axis=-1)
        rgb = cv2.LUT(rgb, np.clip(tables, 0, 255).astype(np.uint8)[None])
        y, x = self._rng.integers(0, 64, 2)
        grain = self._grain[y : y + rgb.shape[0], x : x + rgb.shape[1]]
        rgb = cv2.add(rgb, np.repeat(grain, 3, axis=2), dtype=cv2.CV_8U)
        if self.gray:
            rgb = cv2.cvtColor(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        return np.asarray(rgb)


def jpeg(rgb: Array, quality: int) -> Array:
    """A picture through JPEG."""
    _, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    bgr = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return np.ascontiguousarray(bgr[..., ::-1])


def h264(frames: list[Array], crf: int) -> list[Array]:
    """A clip through H.264, sides even."""
    import av  # here, as clips that go through another codec are drawn where there is none

    height, width = (n - n % 2 for n in frames[0].shape[:2])
    options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}
    if cv2.checkHardwareSupport(AVX512):
        options["x264-params"] = f"asm={WITHOUT_AVX512}"
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as box:
        stream = box.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for rgb in frames:
            box.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb[:height, :width]), format="rgb24"))
            )
        box.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as box:
        out = [frame.to_ndarray(format="rgb24") for frame in box.decode(video=0)]
    if (height, width) != frames[0].shape[:2]:
        rest = ((0, frames[0].shape[0] - height), (0, frames[0].shape[1] - width), (0, 0))
        out = [np.pad(rgb, rest, mode="edge") for rgb in out]
    return out


def inter_coded(frames: list[Array], quality: int, interval: int) -> list[Array]:
    """A clip through a codec that writes what has changed since the frame before, as JPEG; every so often all of it.

    It leaves the marks that matter to flow: noise stands still where nothing moves, blocks trail behind what does.
    """
    out: list[Array] = []
    for t, rgb in enumerate(frames):
        if t % interval == 0:
            out.append(jpeg(rgb, quality))
            continue
        change = (rgb.astype(np.int16) - out[-1]).clip(-254, 254) // 2 + 128
        back = 2 * (jpeg(change.astype(np.uint8), quality).astype(np.int16) - 128)
        out.append(np.clip(out[-1] + back, 0, 255).astype(np.uint8))
    return out


def light_field(rng: Rng, size: Size) -> Array | None:
    """(H, W) float32: sun and shade that lie on the ground and on whoever passes; None: even light."""
    if rng.random() < 0.6:
        return None
    field = np.clip(0.5 + fractal(rng, size, 2.2) * rng.uniform(0.5, 4), 0, 1)
    return np.asarray(1 - rng.uniform(0.2, 0.6) * field, np.float32)
