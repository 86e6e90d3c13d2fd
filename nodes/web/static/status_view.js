/** What is known of the connection, the run and the picture in; the chip, its details and the banner out. */

import { sharingRows } from "./core/summaries.js";
import { ageWords, judge } from "./core/verdict.js";
import { element, find, setData, setText, show } from "./dom.js";
import { speak } from "./notices.js";

const LATE_MS = 400; // an age on screen that people notice
const VERY_LATE_MS = 1500;

const ACTIONS = { retry: "Try now", login: "Log in", camera: "Use this camera", resume: "Resume" };
const DOING = { painting: ["Enter: follow what is painted"], aiming: ["arrows aim, Enter clicks"], nothing: [] };
const NEED_OPERATOR = ["camera", "resume"];

export class StatusView {
  /** `act(name)` does what the banner's button offers: retry, login, camera, resume. */
  constructor({ stage, act }) {
    this.verdict = { kind: "connecting", stale: true };
    this._stage = stage;
    this._action = null;
    find("banner-action").onclick = () => act(this._action);
    find("chip").onclick = () => this.toggleDetails();
    addEventListener("pointerdown", ({ target }) => {
      if (!find("details").hidden && !target.closest("#details, #chip")) this.toggleDetails(false);
    });
  }

  toggleDetails(on = find("details").hidden) {
    show(find("details"), on);
    find("chip").setAttribute("aria-expanded", on);
  }

  /** `facts` as core/verdict.js takes them, and what the chip shows: age, rate, drops, session, held. */
  update(facts) {
    const before = this.verdict;
    this.verdict = judge(facts);
    this._showBanner(facts);
    this._showChip(facts);
    if (!find("details").hidden) this._showDetails(facts);
    if (before.kind !== this.verdict.kind && this.verdict.kind === "live") speak("The picture is live.");
  }

  _showBanner({ ageMs, heldMs, mayAct, doing }) {
    const { kind, tone, title, detail, stale, action } = this.verdict;
    const banner = find("banner");
    setData(document.body, "stale", stale);
    setData(document.body, "banner", kind);
    setData(this._stage, "held", heldMs !== null);
    show(find("held"), heldMs !== null && !stale);
    if (heldMs !== null) setText(find("held-text"), ["held", `${ageWords(heldMs)} old`, ...DOING[doing]].join(" · "));
    show(banner, kind !== "live" && heldMs === null);
    if (kind === "live") return;
    setData(banner, "kind", kind);
    setData(banner, "tone", tone);
    setText(find("banner-title"), title);
    setText(find("banner-detail"), detail);
    setText(find("banner-age"), ageMs === null || !stale ? "" : `This picture is ${ageWords(ageMs)} old`);
    this._action = action && (mayAct || !NEED_OPERATOR.includes(action)) ? action : null;
    show(find("banner-action"), this._action !== null);
    if (this._action) setText(find("banner-action"), ACTIONS[this._action]);
  }

  _showChip({ grid, ageMs, usualAgeMs, rateHz, dropped, session, status, heldMs }) {
    const { kind, tone, stale } = this.verdict;
    const light = heldMs !== null && !stale ? "held" : kind === "live" ? "live" : tone;
    setData(find("chip-light"), "state", light);
    setText(find("chip-state"), light === "held" ? "held" : kind.replaceAll("_", " "));
    const age = stale || heldMs !== null ? ageMs : usualAgeMs;
    part("chip-age", age === null ? null : ageWords(age), age > VERY_LATE_MS ? "bad" : age > LATE_MS ? "warn" : "");
    part("chip-rate", kind === "live" && !grid ? `${rateHz.toFixed(rateHz < 10 ? 1 : 0)} fps` : null);
    part("chip-drops", dropped === null || grid ? null : `${dropped} dropped`);
    part("chip-session", session === null ? null : `session ${session}`);
    const away = nodesAway(status);
    part("chip-nodes", status?.nodes ? (away.length ? `${away.join(", ")} away` : "nodes ok") : null, away.length ? "bad" : "");
  }

  _showDetails({ ages, rateHz, dropped, viewers, unreadable, session, status, camera, mayAct }) {
    const sorted = [...ages].sort((a, b) => a - b);
    const at = (share) => (sorted.length ? ageWords(sorted[Math.floor(share * (sorted.length - 1))]) : "–");
    const recent = status?.recent ?? {};
    const rows = [
      ["Camera", camera ?? "–"],
      ["Age on screen, p50 and p95", `${at(0.5)}, ${at(0.95)}`],
      ["Painted", `${rateHz.toFixed(1)} frames/s`],
      ["Captured, decoded", `${hz(recent.captured_hz)}, ${hz(recent.decoded_hz)} frames/s`],
      ["Capture to publish, p50 and p95", `${ms(recent.latency_ms?.p50)}, ${ms(recent.latency_ms?.p95)}`],
      ["Dropped for this viewer", String(dropped ?? "–")],
      ["Unreadable messages", String(unreadable)],
      ["Passed over by the run", String(status?.frames?.passed_over ?? "–")],
      ["Session, reconnects", `${session ?? "–"}, ${status?.reconnects ?? "–"}`],
      ["Viewers", String(viewers ?? "–")],
      ["You may", mayAct ? "look and act" : "look"],
      ...sharingRows(status?.sharing),
    ];
    const list = find("details-list");
    if (list.children.length !== 2 * rows.length) {
      list.replaceChildren(...rows.flatMap(([name]) => [element("dt", { textContent: name }), element("dd")]));
    }
    rows.forEach(([, value], i) => setText(list.children[2 * i + 1], value));
    const nodes = Object.entries(status?.nodes ?? {});
    show(find("details-nodes"), nodes.length > 0);
    find("details-nodes").tBodies[0].replaceChildren(...nodes.map(([name, node]) => nodeRow(name, node)));
  }
}

/** Names of nodes that are being restarted. */
function nodesAway(status) {
  const match = /^restarting (.+)$/.exec(status?.reason ?? "");
  return match ? match[1].split(" ") : [];
}

function nodeRow(name, node) {
  const cells = [hz(node.recent_rate_hz), ms(node.step_ms, ""), Math.round(node.rss_mb ?? 0), node.restarts ?? 0];
  const head = element("th", { scope: "row", textContent: name });
  return element("tr", {}, head, ...cells.map((cell) => element("td", { textContent: String(cell) })));
}

function hz(value) {
  return typeof value === "number" ? value.toFixed(1) : "–";
}

function ms(value, unit = " ms") {
  return typeof value === "number" ? `${value.toFixed(0)}${unit}` : "–";
}

function part(id, text, tone = "") {
  show(find(id), text !== null);
  if (text !== null) setText(find(id), text);
  setData(find(id), "tone", tone);
}
