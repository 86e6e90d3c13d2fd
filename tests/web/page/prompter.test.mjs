/** Prompts and their corrections. Run by tests/web/test_page_modules.py. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { ObjectList } from "../core/objects.js";
import { Prompter } from "../prompter.js";

const FRAME = { session: 0, frame_id: 7, epoch: 0 };
const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

/** A prompter before a picture without objects, the requests that it sends, and what replies to them. */
function made() {
  const sent = []; // [method, params, reply]
  const shown = { frame: FRAME, header: { width: 640, height: 360 }, objectAt: () => null };
  const player = { shown, held: false, hold: () => (player.held = true), release: () => (player.held = false) };
  const request = (method, params) => new Promise((resolve) => sent.push([method, params, resolve]));
  const prompter = new Prompter({ request, player, objects: new ObjectList(), serverNowS: () => 0, now: () => 0 });
  const problems = [];
  prompter.addEventListener("problem", ({ detail }) => problems.push(detail));
  const of = (method) => sent.filter(([name]) => name === method).map(([, params]) => params);
  const reply = (method, result) => sent.find(([name]) => name === method)[2](result);
  return { prompter, of, reply, problems };
}

for (const [act, method, params] of [
  [(prompter) => prompter.choose(1), "choose_candidate", { object_id: 3, step: 1 }],
  [(prompter) => prompter.undo(), "undo_point", { object_id: 3 }],
  [(prompter) => prompter.remove(), "remove_object", { object_id: 3 }],
  [(prompter) => prompter.click([50, 60], 0), "refine_object", { object_id: 3, points: [[50, 60, 0]], frame: FRAME }],
]) {
  test(`${method} right after a click means the object that the click begins`, async () => {
    const { prompter, of, reply, problems } = made();
    prompter.hold();
    prompter.click([10, 20], 1);
    prompter.release();
    assert.ok(prompter.justPrompted);
    act(prompter);
    await settled();
    assert.deepEqual([of(method), problems], [[], []]);
    reply("add_object", { object_id: 3 });
    await settled();
    assert.deepEqual([of(method), problems], [[params], []]);
  });
}

test("the frame of a negative point that waits for its object stays held by the server", async () => {
  const { prompter, of } = made();
  prompter.click([10, 20], 1);
  prompter.hold();
  prompter.click([50, 60], 0);
  prompter.release();
  await settled();
  assert.deepEqual(of("release_frame"), []);
});

test("without any prompt a correction says what it needs", async () => {
  const { prompter, of, problems } = made();
  await prompter.choose(1);
  prompter.click([50, 60], 0);
  assert.equal(prompter.justPrompted, false);
  assert.deepEqual([of("choose_candidate"), problems.length], [[], 2]);
});
