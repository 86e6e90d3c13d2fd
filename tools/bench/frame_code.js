// A canvas in; the number in its corner out as nodes/capture/frame_code.py draws it, or -1 where there is none.
// Run in a page by tests and benchmarks, never shipped with it. Only the corner's pixels are read.
(canvas) => {
  const { width, height } = canvas;
  const side = Math.min(height / 30, width / 24);
  const left = Math.floor(width - 8 * side);
  const top = Math.floor(height - 4 * side);
  const corner = canvas.getContext("2d").getImageData(left, top, width - left, height - top);
  let number = 0;
  let check = 0;
  for (let cell = 0; cell < 32; cell++) {
    const x = width - (8 - (cell % 8) - 0.5) * side - left;
    const y = height - (4 - Math.floor(cell / 8) - 0.5) * side - top;
    const inset = side / 4; // the middle of the cell: its edges are blurred
    let sum = 0;
    let count = 0;
    for (let row = Math.floor(y - inset); row < Math.max(y + inset, Math.floor(y - inset) + 1); row++) {
      for (let column = Math.floor(x - inset); column < Math.max(x + inset, Math.floor(x - inset) + 1); column++) {
        sum += corner.data[4 * (row * corner.width + column) + 1];
        count++;
      }
    }
    const bit = sum / count >= 125.5 ? 1 : 0;
    if (cell < 20) number = number * 2 + bit;
    else check = check * 2 + bit;
  }
  let remainder = 0xfff;
  for (let place = 19; place >= 0; place--) {
    const out = (remainder >> 11) ^ ((number >> place) & 1);
    remainder = ((remainder << 1) & 0xfff) ^ (out ? 0x80f : 0);
  }
  return remainder === check ? number : -1;
}
