/** What the server says of a camera in the grid in, words for people out. */

const REASONS = {
  source_lost: "offline",
  waiting_for_source: "not open yet",
  black: "black picture",
  frozen: "frozen picture",
  damaged: "damaged stream",
  no_frames: "no pictures",
  undecodable: "unreadable",
};

/** {text, tone: "live" | "calm" | "warn" | "bad"}; `summary` is null before the first word of the camera. */
export function summaryWords(summary) {
  const { state, reason, objects = 0, lost = 0, retry_in_s: retryInS, service_ratio: served } = summary ?? {};
  if (!state) return { text: "waiting", tone: "calm" };
  if (state === "paused" || state === "ended") return { text: state, tone: "calm" };
  const trouble = REASONS[reason] ?? (state === "interrupted" ? "interrupted" : "");
  if (trouble) {
    const again = typeof retryInS === "number" ? `, next try in ${Math.max(1, Math.ceil(retryInS))} s` : "";
    return { text: trouble + again, tone: state === "interrupted" || reason === "source_lost" ? "bad" : "warn" };
  }
  if (reason?.startsWith("restarting")) return { text: "restarting", tone: "warn" };
  const count = `${objects} ${objects === 1 ? "object" : "objects"}`;
  const share = typeof served === "number" ? `, ${percent(served)} served` : ""; // by a model that cameras share
  return { text: (lost ? `${count}, ${lost} lost` : count) + share, tone: "live" };
}

/** [name, value] of what a status says of a model that cameras share; none where they don't. */
export function sharingRows(sharing) {
  if (!sharing?.device) return [];
  const { served, frames, late, replaced, misses, service_ratio: ratio, device } = sharing;
  const { p50, p99 } = device.queue_age_ms;
  return [
    ["Shared model: served", `${percent(ratio)} lately; ${served} of ${frames} frames`],
    ["Carried by points: late, replaced", `${late}, ${replaced}`],
    ["Served after their deadline", String(misses)],
    ["Requests in a batch", device.batch_occupancy.toFixed(2)],
    ["Fairness over cameras (Jain)", device.jain_index.toFixed(3)],
    ["Requests wait, p50 and p99", `${p50.toFixed(0)} ms, ${p99.toFixed(0)} ms`],
  ];
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}
