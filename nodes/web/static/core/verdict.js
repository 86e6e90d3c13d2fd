/** All that is known of connection, run and picture in; what the banner must say out, and whether the picture is old.
 *
 * An old picture never looks live: whatever is wrong, `stale` says that it is to be shown grey, with its age.
 */

const STALLED_AFTER_MS = 1500; // a picture that is older is not live ...
const STALLED_AFTER_PERIODS = 3; // ... unless the run is a slow one, and pictures are always so old, or come so seldom
const STALLED_AFTER_AGES = 2;

const TROUBLE = {
  black: "The picture is black",
  frozen: "The camera sends the same picture again and again",
  damaged: "The camera's stream is damaged",
  no_frames: "The camera is connected, but sends no picture",
  undecodable: "What the camera sends can't be read",
};

/** `facts`: {link, retryInS, everOpen, welcome, source, status, silentS, ended, ageMs (of the shown picture, null before
 *  the first), limitMs (see stallLimit)}. Returned: {kind, tone: "calm" | "warn" | "bad", title, detail, stale, action} or {kind: "live"}. */
export function judge(facts) {
  const seen = facts.ageMs !== null;
  const say = (kind, tone, title, detail = "", extra = {}) => ({ kind, tone, title, detail, stale: true, ...extra });
  if (facts.link === "logged_out") {
    return say("logged_out", "bad", "You are logged out", "Log in again to go on.", { action: "login" });
  }
  // A run takes its server with it: what ended has not lost its connection.
  if (facts.ended !== null && facts.link !== "open") {
    return say("ended", "calm", "The run has ended", "Waiting for the next one.");
  }
  if (facts.link === "waiting" || (facts.link === "connecting" && facts.everOpen)) {
    const detail = facts.link === "waiting" ? `Next try in ${wholeSeconds(facts.retryInS)} s.` : "Trying now…";
    const title = facts.everOpen ? "The connection to the server is lost" : "The server can't be reached";
    return say("lost_connection", "bad", title, detail, { action: "retry" });
  }
  if (facts.link === "connecting" || !facts.welcome) return say("connecting", "calm", "Connecting to the server…");
  if (facts.ended !== null) return say("ended", "calm", "The run has ended", facts.ended);
  if (facts.silentS !== null) {
    return say("silent", "bad", "The run does not answer", `Nothing was heard for ${Math.round(facts.silentS)} s.`);
  }
  if (facts.grid) return { kind: "live", tone: "calm", title: "", detail: "", stale: false }; // each tile tells of its camera
  return judgeFeed(facts, seen, say);
}

function judgeFeed({ status, source, ageMs, limitMs }, seen, say) {
  const { state = "", reason = "" } = status ?? {};
  const retry = typeof status?.retry_in_s === "number" ? `Next try in ${wholeSeconds(status.retry_in_s)} s.` : "";
  if (state === "ended") return say("ended", "calm", "The feed has ended");
  if (state === "paused") return say("paused", "calm", "Paused", "", { action: "resume" });
  if (source === "browser" && (reason === "waiting_for_source" || (!seen && state !== "running"))) {
    return say("needs_camera", "calm", "This run watches the camera of a page", "Use this page's camera, or wait for another's.", {
      action: "camera",
    });
  }
  if (reason === "waiting_for_source") return say("backing_off", "warn", "The camera can't be opened yet", retry || "It is tried again.");
  if (reason === "source_lost") return say("offline", "bad", "The camera is offline", retry || "It is being connected again.");
  if (reason.startsWith("restarting")) return say("restarting", "warn", "A part of the run is restarting", reason, { stale: old(ageMs, limitMs) });
  if (state === "interrupted") return say("interrupted", "bad", TROUBLE[reason] ?? "The camera is interrupted");
  if (!seen) return say("first_picture", "calm", "Waiting for the first picture…");
  if (old(ageMs, limitMs)) return say("stalled", "warn", "No new picture is coming");
  if (TROUBLE[reason]) return say(reason, "warn", TROUBLE[reason], "", { stale: reason === "frozen" });
  return { kind: "live", tone: "calm", title: "", detail: "", stale: false };
}

function wholeSeconds(seconds) {
  return Math.max(1, Math.ceil(seconds));
}

function old(ageMs, limitMs) {
  return ageMs === null || ageMs > limitMs;
}

/** The age, ms, from which a picture is stale, where new ones come every `periodMs` and are usually `usualAgeMs` old. */
export function stallLimit(periodMs, usualAgeMs) {
  return Math.max(STALLED_AFTER_MS, STALLED_AFTER_PERIODS * periodMs, STALLED_AFTER_AGES * usualAgeMs);
}

/** How old a picture is, for people: "42 ms", "3.2 s", "4 min". */
export function ageWords(ageMs) {
  if (ageMs === null || Number.isNaN(ageMs)) return "–";
  if (ageMs < 1000) return `${Math.max(0, Math.round(ageMs))} ms`;
  if (ageMs < 60_000) return `${(ageMs / 1000).toFixed(1)} s`;
  return `${Math.floor(ageMs / 60_000)} min`;
}
