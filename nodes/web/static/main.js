/** The page put together: connection -> player -> stage; prompts back; status, panel and keys beside. */

import { PageCamera } from "./camera.js";
import { Connection } from "./connection.js";
import { ObjectList } from "./core/objects.js";
import { PaintTimes } from "./core/paint_times.js";
import { stallLimit } from "./core/verdict.js";
import { Dock } from "./dock.js";
import { find, setData, setText, show } from "./dom.js";
import { Grid } from "./grid.js";
import { Help } from "./help.js";
import { listen } from "./keyboard.js";
import { Layers } from "./layers.js";
import { notify, speak } from "./notices.js";
import { Panel } from "./panel.js";
import { Player } from "./player.js";
import { Prompter } from "./prompter.js";
import "./recordings.js";
import { Stage } from "./stage.js";
import { StatusView } from "./status_view.js";
import { exposeForTests } from "./testing.js";
import { CameraBar, Views } from "./views.js";
import { ZoneBook } from "./zones/book.js";
import { ZoneEditor } from "./zones/editor.js";
import { ZonePanel } from "./zones/panel.js";

const UPDATE_MS = 250; // of chip, banner and panel
const TILE_PX = 320; // width of the pictures in the grid
const TITLE = document.querySelector("title");
const SCHEME = location.protocol === "https:" ? "wss" : "ws";

const connection = new Connection(`${SCHEME}://${location.host}/ws`);
const objects = new ObjectList();
const times = new PaintTimes();
const run = { welcome: null, camera: null, status: null, viewer: null, silentSince: null, ended: null, maxWidth: null };

const mayAct = () => run.welcome?.role === "operator";
const request = (method, params = {}) => {
  const several = (run.welcome?.cameras.length ?? 1) > 1;
  return connection.request(method, several ? { camera: run.camera, ...params } : params);
};

const player = new Player({
  paint,
  acknowledge: () => connection.send({ type: "ack" }),
  report: (message) => console.warn(`sam-pt: ${message}`),
});
const serverNowS = () => connection.serverNowMs() / 1000;
const views = new Views(showView);
const cameraBar = new CameraBar((name) => views.open(name));
const grid = new Grid({
  open: (name) => views.open(name),
  acknowledge: () => connection.send({ type: "ack" }),
  serverNowMs: () => connection.serverNowMs(),
  report: (message) => console.warn(`sam-pt: ${message}`),
});
const prompter = new Prompter({ request, player, objects, serverNowS });
const layers = new Layers(() => stage.redraw());
const book = new ZoneBook(request);
const zones = new ZoneEditor(book);
const stage = new Stage({
  player,
  prompter,
  objects,
  layers,
  zones,
  mayAct: () => mayAct() && connection.state === "open",
  onPlace: (width) => {
    if (width === run.maxWidth) return;
    run.maxWidth = width;
    look();
  },
});
const panel = new Panel({ objects, prompter, mayAct });
const dock = new Dock({ stage, prompter, objects, zones, request });
const zonePanel = new ZonePanel({
  book,
  edit: (name) => dock.editZone(name),
  remove: (name) => book.remove(name).catch((error) => notify(error.message)),
  nameOf: (id) => objects.nameOf(id),
});
const camera = new PageCamera(connection);
const statusView = new StatusView({ stage: stage.element, act: (name) => ACTIONS[name]() });
const help = new Help();

const ACTIONS = {
  retry: () => connection.connectNow(),
  login: () => location.assign("/login"),
  camera: () => camera.start(), // it is only offered while the camera is off: a second press changes nothing
  resume: () => dock.pause(false),
};

// --- pictures ------------------------------------------------------------------------------------------------------------

function paint(scene) {
  const { header } = scene;
  const now = performance.now();
  times.take(now, connection.serverNowMs() - header.captured_unix_ns / 1e6);
  stage.paint(scene);
  prompter.takeScene(header);
  panel.takeScene(scene, now);
}

/** Objects are told of by every frame that comes, painted or not. */
player.onScene = ({ header }) => {
  for (const { id, from, to, reason } of objects.takeScene(header, serverNowS())) {
    const name = objects.nameOf(id);
    if (to === null) speak(`${name} was removed.`);
    else if (from === null || from === "starting") speak(`${name} is followed.`);
    else speak(`${name}: ${to}${reason ? `, ${reason}` : ""}.`);
  }
};

/** Ask for pictures, of the size that this screen shows; for none while nobody sees them. */
function look() {
  const seen = !document.hidden;
  if (views.grid) connection.send({ type: "look", camera: null, max_width: TILE_PX, grid: seen });
  else if (run.camera) connection.send({ type: "look", camera: seen ? run.camera : null, max_width: run.maxWidth });
}

/** Show one camera, or (null) the grid. */
function showView(name) {
  if (name !== run.camera) {
    objects.clear(); // another camera's have the same numbers
    prompter.settle();
    run.status = null;
    player.clear();
    book.clear();
    zonePanel.clear();
  }
  run.camera = player.camera = name;
  setData(document.body, "view", views.grid ? "grid" : "one");
  show(grid.element, views.grid);
  if (name !== null) find("snapshot").href = `/snapshot/${encodeURIComponent(name)}.jpg?masks=1`;
  cameraBar.mark(name);
  look();
  update();
}

// --- messages ------------------------------------------------------------------------------------------------------------

const TAKE = {
  welcome(message) {
    run.welcome = message;
    run.ended = run.silentSince = null;
    document.body.dataset.role = message.role;
    show(find("camera-button"), message.source === "browser" && message.role === "operator");
    takeCameras(message.cameras);
  },
  status({ camera: name, status, viewer }) {
    run.viewer = viewer;
    if (run.welcome && !run.welcome.cameras.includes(name)) takeCameras([...run.welcome.cameras, name]);
    if (name !== run.camera) return;
    run.status = { ...status, receivedAt: performance.now() };
    run.silentSince = null;
    if (status.state !== "ended") run.ended = null;
    objects.takeList(status.objects);
    dock.takeStatus(status);
  },
  events({ camera: name, events, ...counts }) {
    if (name !== run.camera) return;
    book.takeCounts(counts);
    zonePanel.takeEvents(events);
  },
  cameras({ cameras }) {
    grid.takeSummaries(cameras);
    run.silentSince = null;
  },
  silence({ since_s: seconds }) {
    run.silentSince = performance.now() - 1000 * seconds;
  },
  ended({ reason }) {
    run.ended = reason ?? "";
  },
};

/** The cameras of the run; a server that has only just begun to listen may not have heard of one yet. */
function takeCameras(names) {
  run.welcome.cameras = names;
  cameraBar.takeCameras(names);
  grid.takeCameras(names);
  views.takeCameras(names);
}

connection.addEventListener("message", ({ detail }) => {
  TAKE[detail.type]?.(detail);
  camera.take(detail);
});
connection.addEventListener("picture", ({ detail }) => {
  run.silentSince = null; // but a picture may still come after the word that the run has ended
  if (views.grid) grid.take(detail);
  else player.take(detail);
});
connection.addEventListener("state", ({ detail }) => {
  if (detail !== "open") {
    player.clear();
    stage.giveUp();
    run.viewer = null;
  }
  update();
});
stage.element.addEventListener("pointerdown", () => views.stay());
stage.element.addEventListener("keydown", () => views.stay());
document.addEventListener("visibilitychange", () => {
  look();
  update();
});

// --- prompts and tools ---------------------------------------------------------------------------------------------------

prompter.addEventListener("change", () => {
  dock.update();
  panel.update(serverNowS());
  stage.redraw();
});
for (const source of [prompter, zones]) {
  source.addEventListener("done", ({ detail }) => speak(detail));
  source.addEventListener("problem", ({ detail }) => notify(detail));
}
for (const source of [book, zones]) source.addEventListener("change", () => stage.redraw());
prompter.addEventListener("gone", ({ detail: { message, again } }) => {
  // A click or a box is over in a moment and tells of it itself; who paints or aims would go on for nothing.
  if (!again && !stage.brush && !stage.crosshair) return;
  if (!again) stage.giveUp();
  const action = again && { label: "Same place, newest picture", run: again };
  notify(`That picture is no longer kept: ${message}`, { action, testid: "frame-gone" });
});

find("camera-button").onclick = () => camera.toggle();
camera.addEventListener("change", () => find("camera-button").setAttribute("aria-pressed", camera.state === "on"));
camera.addEventListener("problem", ({ detail }) => notify(detail, { testid: "camera-problem" }));

find("logout").onclick = async () => {
  camera.stop();
  connection.stop();
  await fetch("/logout", { method: "POST", headers: { "X-SAM-PT": "1" } }).catch(() => null);
  location.assign("/login");
};

// --- what is known, four times a second -----------------------------------------------------------------------------------

function facts() {
  const now = performance.now();
  const serverNow = connection.serverNowMs();
  const shown = player.shown?.header ?? null;
  const ageMs = shown && serverNow - shown.captured_unix_ns / 1e6;
  const { periodMs, usualAgeMs, ages, rateHz } = times.summary(now);
  const status = run.status && { ...run.status, state: dock.corrected(run.status.state) };
  if (typeof status?.retry_in_s === "number") status.retry_in_s -= (now - status.receivedAt) / 1000;
  return {
    grid: views.grid,
    link: connection.state,
    retryInS: (connection.retryAt - now) / 1000,
    everOpen: connection.everOpen,
    welcome: run.welcome,
    source: run.welcome?.source,
    status,
    silentS: run.silentSince === null ? null : (now - run.silentSince) / 1000,
    ended: run.ended,
    // A picture that came before the clocks were compared, or from a clock that is ahead, is as old as its stay here.
    ageMs: shown && Math.max(0, ageMs, now - times.paintedAt),
    heldMs: player.held ? Math.max(0, ageMs) : null,
    limitMs: stallLimit(periodMs, usualAgeMs ?? 0),
    usualAgeMs,
    ages,
    rateHz,
    dropped: run.viewer?.dropped ?? null,
    viewers: run.viewer?.viewers,
    unreadable: player.unreadable,
    session: shown?.session ?? null,
    camera: run.camera,
    mayAct: mayAct(),
    doing: stage.brush ? "painting" : stage.crosshair ? "aiming" : "nothing",
  };
}

function update() {
  const known = facts();
  statusView.update(known);
  if (views.grid) grid.update(statusView.verdict.kind === "live");
  panel.update(serverNowS());
  dock.update();
  if (connection.state === "open" && run.camera) book.refreshNowAndThen(performance.now());
  setData(document.body, "connection", connection.state);
  const live = statusView.verdict.kind === "live";
  show(find("hint"), live && mayAct() && objects.objects.size === 0 && !player.held && prompter.pending.length === 0);
  setText(TITLE, run.camera ? `${run.camera} · SAM-PT Live` : "SAM-PT Live");
  const { title, detail } = statusView.verdict;
  setText(find("grid-notice"), views.grid && !live ? `${title}. ${detail}` : "");
}

listen({
  stage, dock, prompter, objects, layers, panel, statusView, help, mayAct,
  snapshot: () => find("snapshot").click(),
  views,
  camera: () => run.welcome?.source === "browser" && mayAct() && camera.toggle(),
});
exposeForTests({ player, connection, objects, statusView, times, run, prompter, camera, grid, book });
setInterval(update, UPDATE_MS);
update();
connection.connect();
