/** A list of the run's recordings below the objects; a click plays one. Nothing is shown where there are none. */

import { element } from "./dom.js";

const REFRESH_MS = 60_000;
const FIRST_MS = 10_000; // between two looks while there is none yet
const SHOWN = 30; // recordings at once; "older" brings as many more

const list = element("ol", { className: "recordings", data: { testid: "recordings" } });
const older = element("button", { type: "button", className: "button", textContent: "older", hidden: true });
const player = element("div", {});
const box = element("details", { className: "card", hidden: true },
  element("summary", { textContent: "Recordings" }), player, list, older);
let limit = SHOWN;

/** "27 Nov, 03:15:00, 60 s" of a recording, by the clock of who looks. */
export function describe(recording) {
  const begin = new Date(recording.start * 1000).toLocaleString([], {
    day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit",
  });
  if (recording.writing) return `${begin}, now`;
  return `${begin}, ${Math.round(recording.end - recording.start)} s`;
}

function play(recording) {
  const video = element("video", {
    src: recording.video, controls: true, autoplay: true, muted: true, className: "recorded",
  });
  video.setAttribute("aria-label", `Recording of ${describe(recording)}`);
  player.replaceChildren(video);
}

function row(recording, several) {
  const name = several ? `${recording.camera}: ${describe(recording)}` : describe(recording);
  return element("li", {}, element("button", {
    type: "button", className: "button", textContent: name, onclick: () => play(recording),
  }));
}

let timer = 0;

async function refresh() {
  clearTimeout(timer);
  timer = setTimeout(refresh, box.hidden ? FIRST_MS : REFRESH_MS);
  let found;
  try {
    const response = await fetch(`/recordings?limit=${limit}`);
    if (!response.ok) return;
    found = await response.json();
  } catch {
    return; // the server is away: the page says so elsewhere
  }
  box.hidden = found.recordings.length === 0;
  older.hidden = !found.more;
  const several = new Set(found.recordings.map((recording) => recording.camera)).size > 1;
  list.replaceChildren(...found.recordings.map((recording) => row(recording, several)));
}

older.onclick = () => {
  limit += SHOWN;
  refresh();
};
box.ontoggle = () => {
  if (box.open) refresh();
  else player.replaceChildren();
};
document.querySelector("aside.panel")?.append(box);
refresh();
