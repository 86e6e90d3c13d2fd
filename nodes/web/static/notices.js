/** Short messages that come and go, and sentences for screen readers alone. */

import { element, find } from "./dom.js";

const STAYS_MS = 4000;
const STAYS_WITH_ACTION_MS = 12_000;
const MOST = 3;
const SPEECH_MS = 1200; // changes that come together are told together

let speech = [];
let speechTimer = 0;

/** Show a message; `action` {label, run} gets a button. Of messages with a `testid` of their own the newest is shown. */
export function notify(message, { action = null, testid = "notice" } = {}) {
  const box = find("notices");
  for (const other of [...box.children]) {
    const same = testid === "notice" ? other.dataset.message === message : other.dataset.testid === testid;
    if (same) other.remove(); // the same thing is said once, in its newest words
  }
  while (box.children.length >= MOST) box.firstChild.remove();
  const notice = element("div", { className: "notice", data: { testid, message } }, element("span", { textContent: message }));
  if (action) {
    const button = element("button", { className: "button", type: "button", textContent: action.label });
    button.dataset.testid = `${testid}-action`;
    button.onclick = () => {
      notice.remove();
      action.run();
    };
    notice.append(button);
  }
  box.append(notice);
  setTimeout(() => notice.remove(), action ? STAYS_WITH_ACTION_MS : STAYS_MS);
}

/** Say something to a screen reader. */
export function speak(sentence) {
  if (!speech.includes(sentence)) speech.push(sentence);
  clearTimeout(speechTimer);
  speechTimer = setTimeout(() => {
    find("speech").textContent = speech.slice(-4).join(" ");
    speech = [];
  }, SPEECH_MS);
}
