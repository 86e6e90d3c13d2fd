/** A WebSocket that comes back by itself: messages and the state of the connection out, requests with replies in. */

const FIRST_WAIT_S = 0.5;
const LONGEST_WAIT_S = 8;
const HEALTHY_AFTER_S = 5; // a connection that held so long starts the waits from the beginning
const PING_S = 2;
const DEAD_AFTER_S = 7; // without a single message, though pings are sent
const REPLY_WITHIN_S = 35; // the server waits 30 s for the run, and tells of it
const LOGGED_OUT = 4401; // the code that the server closes with

/** Seconds before attempt number 0, 1, 2, ...: doubling, with 20 % jitter so that many pages don't come at once. */
export function waitBefore(attempt, random = Math.random()) {
  return Math.min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** attempt) * (0.8 + 0.4 * random);
}

/** A reply that was an error: `code` as docs/protocol.md lists them, `message` for people. */
export class RequestError extends Error {
  constructor({ code, message }) {
    super(message);
    this.code = code;
  }
}

/** Events: "state", "message" (detail: the JSON object), "picture" (detail: ArrayBuffer). */
export class Connection extends EventTarget {
  constructor(address) {
    super();
    this.address = address;
    this.state = "connecting"; // connecting, open, waiting, logged_out
    this.retryAt = 0; // ms of performance.now(), while waiting
    this.everOpen = false;
    this.clockOffsetMs = 0; // server's unix clock minus this page's; of the fastest ping of the last ones
    this._socket = null;
    this._attempt = 0;
    this._openedAt = 0;
    this._heardAt = 0;
    this._timer = 0;
    this._requests = new Map(); // id -> {resolve, reject, timer}
    this._lastId = 0;
    this._pings = []; // [round trip, offset], ms
    setInterval(() => this._beat(), PING_S * 1000);
    addEventListener("online", () => this.connectNow());
  }

  /** The server's unix clock, ms. */
  serverNowMs() {
    return performance.timeOrigin + performance.now() + this.clockOffsetMs;
  }

  connect() {
    clearTimeout(this._timer);
    this._enter("connecting");
    const socket = new WebSocket(this.address);
    socket.binaryType = "arraybuffer";
    this._socket = socket;
    this._heardAt = performance.now();
    socket.onmessage = ({ data }) => this._take(data);
    socket.onopen = () => {
      this._openedAt = this._heardAt = performance.now();
      this._pings = [];
      this.everOpen = true;
      this._enter("open");
      this._beat();
    };
    socket.onclose = ({ code }) => this._closed(socket, code);
  }

  /** Try at once where a wait is under way. */
  connectNow() {
    if (this.state === "waiting") this.connect();
  }

  /** The session has ended on purpose: no more attempts. */
  stop() {
    this._enter("logged_out");
    this._socket?.close();
  }

  /** Send an object as JSON, or a Blob as it is; false where there is no connection. */
  send(data) {
    if (this._socket?.readyState !== WebSocket.OPEN) return false;
    this._socket.send(data instanceof Blob ? data : JSON.stringify(data));
    return true;
  }

  /** Bytes that are not yet on their way. */
  get backlog() {
    return this._socket?.bufferedAmount ?? 0;
  }

  /** Ask for a control method; the promise holds its result, or fails with a RequestError. */
  request(method, params = {}) {
    const id = ++this._lastId;
    return new Promise((resolve, reject) => {
      const fail = (code, message) => reject(new RequestError({ code, message }));
      if (!this.send({ type: "request", id, method, params })) {
        fail("not_connected", "There is no connection to the server.");
        return;
      }
      const timer = setTimeout(() => {
        this._requests.delete(id);
        fail("timeout", "The server has not answered.");
      }, REPLY_WITHIN_S * 1000);
      this._requests.set(id, { resolve, reject, timer });
    });
  }

  _take(data) {
    this._heardAt = performance.now();
    if (data instanceof ArrayBuffer) {
      this.dispatchEvent(new CustomEvent("picture", { detail: data }));
      return;
    }
    const message = JSON.parse(data);
    if (message.type === "pong") this._takePong(message);
    else if (message.type === "reply") this._takeReply(message);
    else if (message.type === "logged_out") this.stop();
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }

  _takePong({ t, unix_ms: unixMs }) {
    const now = performance.now();
    // The server answered somewhere between t and now; the fastest round trip knows best where.
    this._pings = [...this._pings, [now - t, unixMs - (performance.timeOrigin + (t + now) / 2)]].slice(-8);
    this.clockOffsetMs = this._pings.reduce((best, ping) => (ping[0] < best[0] ? ping : best))[1];
  }

  _takeReply({ id, result, error }) {
    const waiting = this._requests.get(id);
    if (!waiting) return;
    this._requests.delete(id);
    clearTimeout(waiting.timer);
    if (error) waiting.reject(new RequestError(error));
    else waiting.resolve(result ?? {});
  }

  _beat() {
    if (this.state !== "open") return;
    const now = performance.now();
    if (now - this._heardAt > DEAD_AFTER_S * 1000) this._socket.close();
    else this.send({ type: "ping", t: now });
    if (now - this._openedAt > HEALTHY_AFTER_S * 1000) this._attempt = 0;
    // A socket that can't say goodbye takes a minute to close; don't wait for it.
    if (now - this._heardAt > (DEAD_AFTER_S + PING_S) * 1000) this._closed(this._socket, 0);
  }

  _closed(socket, code) {
    if (socket !== this._socket) return;
    this._socket = null;
    socket.onclose = socket.onmessage = null;
    for (const { reject, timer } of this._requests.values()) {
      clearTimeout(timer);
      reject(new RequestError({ code: "not_connected", message: "The connection to the server broke off." }));
    }
    this._requests.clear();
    if (this.state === "logged_out") return;
    if (code === LOGGED_OUT) {
      this._enter("logged_out");
      return;
    }
    const waitMs = 1000 * waitBefore(this._attempt++);
    this.retryAt = performance.now() + waitMs;
    this._timer = setTimeout(() => this.connect(), waitMs);
    this._enter("waiting");
    if (this._attempt % 2 === 1) this._checkLogin();
  }

  /** A refused login looks like a dead server to a WebSocket; a plain request can tell them apart. */
  async _checkLogin() {
    const answer = await fetch("/", { redirect: "manual", cache: "no-store" }).catch(() => null);
    const refused = answer && (answer.type === "opaqueredirect" || answer.status === 401 || answer.status === 403);
    if (!refused || this.state === "open") return;
    clearTimeout(this._timer);
    this.stop();
  }

  _enter(state) {
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}
