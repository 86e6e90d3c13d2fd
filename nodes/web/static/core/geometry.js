/** Sizes in, the place of a picture on its stage out; and positions from client px to frame px and back.
 *
 * Frame px have their centres on whole numbers, (0, 0) the first pixel's: the left edge of the frame is at -0.5.
 * The stage is measured in CSS px; `density` is how many device px one of them has.
 */

/** Where a frame {width, height} lies on a stage {width, height}: {x, y, width, height, scaleX, scaleY}, CSS px.
 *  Its edges lie on device px, so that it is as sharp as the screen; the two scales may differ by a trifle. */
export function fit(frame, stage, density = 1) {
  const scale = Math.min(stage.width / frame.width, stage.height / frame.height);
  const snap = (value) => Math.round(value * density) / density;
  const width = Math.max(1 / density, snap(frame.width * scale));
  const height = Math.max(1 / density, snap(frame.height * scale));
  const x = snap((stage.width - width) / 2);
  const y = snap((stage.height - height) / 2);
  return { x, y, width, height, scaleX: width / frame.width, scaleY: height / frame.height };
}

/** Stage px -> frame px, not clamped. */
export function stageToFrame(place, [x, y]) {
  return [(x - place.x) / place.scaleX - 0.5, (y - place.y) / place.scaleY - 0.5];
}

/** Frame px -> px of the picture's own canvas (its corner is the origin), CSS px. */
export function frameToPicture(place, [x, y]) {
  return [(x + 0.5) * place.scaleX, (y + 0.5) * place.scaleY];
}

/** Does the frame px position lie on the frame? */
export function inside(frame, [x, y]) {
  return x >= -0.5 && y >= -0.5 && x < frame.width - 0.5 && y < frame.height - 0.5;
}

/** The nearest position that a request may name: 0..width-1, 0..height-1, two decimals. */
export function clamped(frame, [x, y]) {
  const limit = (value, side) => Math.round(100 * Math.min(Math.max(value, 0), side - 1)) / 100;
  return [limit(x, frame.width), limit(y, frame.height)];
}

/** The corners in any order as [x1, y1, x2, y2] with x1 < x2 and y1 < y2, at least 1 px apart where the frame has it. */
export function boxOf(frame, one, other) {
  const [ax, ay] = clamped(frame, one);
  const [bx, by] = clamped(frame, other);
  const span = (a, b, side) => {
    const low = Math.max(0, Math.min(Math.min(a, b), side - 2));
    return [low, Math.max(Math.max(a, b), low + 1)];
  };
  const [x1, x2] = span(ax, bx, frame.width);
  const [y1, y2] = span(ay, by, frame.height);
  return [x1, y1, x2, y2];
}

// Widths, px, in which a server sends smaller pictures: few, so that pages share them.
const WIDTHS = [160, 320, 480, 640, 960, 1280, 1920, 2560];

/** The width, px, that a picture should be asked for in, or null for the frame's own: a small screen gets a small one. */
export function wantedWidth(frame, place, density) {
  const enough = WIDTHS.find((width) => width >= place.width * density);
  return enough && enough <= 0.75 * frame.width ? enough : null;
}
