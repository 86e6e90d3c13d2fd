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
  const { state, reason, objects = 0, lost = 0, retry_in_s: retryInS } = summary ?? {};
  if (!state) return { text: "waiting", tone: "calm" };
  if (state === "paused" || state === "ended") return { text: state, tone: "calm" };
  const trouble = REASONS[reason] ?? (state === "interrupted" ? "interrupted" : "");
  if (trouble) {
    const again = typeof retryInS === "number" ? `, next try in ${Math.max(1, Math.ceil(retryInS))} s` : "";
    return { text: trouble + again, tone: state === "interrupted" || reason === "source_lost" ? "bad" : "warn" };
  }
  if (reason?.startsWith("restarting")) return { text: "restarting", tone: "warn" };
  const count = `${objects} ${objects === 1 ? "object" : "objects"}`;
  return { text: lost ? `${count}, ${lost} lost` : count, tone: "live" };
}
