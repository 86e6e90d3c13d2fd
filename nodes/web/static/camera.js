/** The page's own camera as the run's source: getUserMedia in, JPEG frames over the connection out, the newest wins. */

import { cameraMessage } from "./core/wire.js";

const WIDTH = 1280; // px wished for, and sent at most
const FRAMES_HZ = 25;
const QUALITY = 0.85;
const MOST_BACKLOG = 1_000_000; // bytes that wait for a slow line; a newer frame is worth more than these

/** Events: "change" (state: off, asking, on), "problem" (detail: message). */
export class PageCamera extends EventTarget {
  constructor(connection) {
    super();
    this.state = "off";
    this.sent = 0;
    this._connection = connection;
    this._stream = null;
    this._video = null;
    this._canvas = null;
    this._free = true; // the server has taken the last frame
    this._timer = 0;
  }

  /** Ask the person for the camera and begin to send; only ever after a press of a button. */
  async start() {
    if (this.state !== "off") return;
    if (!navigator.mediaDevices?.getUserMedia) {
      this._problem("denied", "A page may only use a camera over https, or on this very computer (127.0.0.1).");
      return;
    }
    this._enter("asking");
    try {
      const video = { width: { ideal: WIDTH }, frameRate: { ideal: FRAMES_HZ }, facingMode: "environment" };
      this._stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    } catch (error) {
      this._enter("off");
      this._problem("denied", why(error));
      return;
    }
    const [track] = this._stream.getVideoTracks();
    track.onended = () => this._ended("The camera was unplugged, or taken away from this page.");
    this._video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
    this._video.srcObject = this._stream;
    this._canvas = document.createElement("canvas");
    await this._video.play().catch(() => {});
    this._free = true;
    this._enter("on");
    this._connection.send({ type: "camera", state: "on", message: track.label });
    this._next();
  }

  toggle() {
    if (this.state === "off") this.start();
    else this.stop();
  }

  /** The person has switched it off. */
  stop() {
    if (this.state === "on") this._ended("");
  }

  /** Messages of the server that concern the camera. */
  take(message) {
    if (message.type === "camera_ack") this._free = true;
    else if (message.type === "camera_refused" && this.state !== "off") {
      this._close();
      this.dispatchEvent(new CustomEvent("problem", { detail: message.message }));
    } else if (message.type === "welcome" && this.state === "on") {
      this._free = true; // a new connection owes nothing
      this._connection.send({ type: "camera", state: "on", message: "" });
    }
  }

  _next() {
    if (this.state !== "on") return;
    const send = () => this._send().finally(() => this._next());
    // A callback for each new picture of the camera; a hidden page gets none, so a timer goes on in its place.
    if (this._video.requestVideoFrameCallback && !document.hidden) {
      let done = false;
      const once = () => {
        if (!done) send();
        done = true;
        clearTimeout(this._timer);
      };
      this._video.requestVideoFrameCallback(once);
      this._timer = setTimeout(once, 500);
    } else this._timer = setTimeout(send, 1000 / FRAMES_HZ);
  }

  async _send() {
    if (this.state !== "on") return; // it was switched off while the next picture was waited for
    const { videoWidth, videoHeight } = this._video;
    if (!this._free || !videoWidth || this._connection.backlog > MOST_BACKLOG) return;
    const scale = Math.min(1, WIDTH / videoWidth);
    const width = Math.round(videoWidth * scale);
    const height = Math.round(videoHeight * scale);
    const captured = performance.timeOrigin + performance.now();
    if (this._canvas.width !== width || this._canvas.height !== height) Object.assign(this._canvas, { width, height });
    this._canvas.getContext("2d", { alpha: false }).drawImage(this._video, 0, 0, width, height);
    const jpeg = await new Promise((resolve) => this._canvas.toBlob(resolve, "image/jpeg", QUALITY));
    const header = { type: "camera_frame", captured_ms: captured, width, height };
    if (jpeg && this.state === "on" && this._connection.send(cameraMessage(header, jpeg))) {
      this._free = false;
      this.sent += 1;
    }
  }

  _ended(message) {
    this._connection.send({ type: "camera", state: "ended", message });
    this._close();
    if (message) this.dispatchEvent(new CustomEvent("problem", { detail: message }));
  }

  _problem(state, message) {
    this._connection.send({ type: "camera", state, message });
    this.dispatchEvent(new CustomEvent("problem", { detail: message }));
  }

  _close() {
    clearTimeout(this._timer);
    for (const track of this._stream?.getTracks() ?? []) {
      track.onended = null;
      track.stop();
    }
    this._stream = this._video = null;
    this._enter("off");
  }

  _enter(state) {
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}

function why(error) {
  if (error.name === "NotAllowedError") return "The camera was not allowed. Allow it in the browser's address bar, then try again.";
  if (error.name === "NotFoundError") return "This device has no camera.";
  if (error.name === "NotReadableError") return "The camera is in use by another program.";
  return `The camera can't be used: ${error.message}`;
}
