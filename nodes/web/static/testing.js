/** What tests read of the page: `samptState()` and `samptMask(id)` on the window. They only look, and send nothing. */

import { toBase64 } from "./core/brush.js";
import { packBits } from "./core/wire.js";

export function exposeForTests({ player, connection, objects, statusView, times, run, prompter, camera, grid, book }) {
  /** The page in plain values: what is painted, which objects there are, connection, selection, banner, viewer. */
  window.samptState = () => ({
    painted: player.shown && {
      ...player.shown.frame,
      captured_unix_ns: player.shown.header.captured_unix_ns,
      width: player.shown.header.width,
      height: player.shown.header.height,
      age_ms: times.summary(performance.now()).ages.at(-1),
      count: times.count,
    },
    ages_ms: times.summary(performance.now()).ages,
    objects: objects.ids.map((id) => ({ ...objects.objects.get(id) })),
    connection: connection.state,
    clock_offset_ms: connection.clockOffsetMs,
    selected: objects.selected,
    target: prompter.target,
    candidate: prompter.candidate,
    frozen: player.held,
    banner: statusView.verdict.kind,
    stale: statusView.verdict.stale,
    role: run.welcome?.role ?? null,
    camera: run.camera,
    grid: !grid.element.hidden,
    page_camera: { state: camera.state, sent: camera.sent },
    viewer: run.viewer,
    zones: [...book.shapes].map(([name, shape]) => ({ name, ...shape, counts: book.counts.get(name) ?? null })),
    unreadable: player.unreadable,
  });

  /** The object's mask on the painted frame: {bbox, area, rows}, `rows` its packed bits (docs/protocol.md) as base64; or null. */
  window.samptMask = (id) => {
    const mask = player.shown?.masks.get(id);
    if (!mask) return null;
    const area = mask.bits.reduce((sum, bit) => sum + bit, 0);
    return { ...player.shown.frame, bbox: [mask.x, mask.y, mask.width, mask.height], area, rows: toBase64(packBits(mask.bits)) };
  };
}
