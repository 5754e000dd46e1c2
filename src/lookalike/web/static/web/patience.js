// @ts-check
// A server that is busy asks to come again: do, a few times, before a person has to.

import { say } from "./page.js";

const TRIES = 4;
const SECONDS = 2;

/** @param {number} seconds */
const wait = (seconds) => new Promise((done) => { setTimeout(done, 1000 * seconds * (1 + Math.random() / 2)); });

/**
 * Ask until the server is not busy; errors other than that are none of ours.
 * @param {string} address
 * @param {RequestInit} [options]
 * @param {(address: string, options?: RequestInit) => Promise<Response>} ask
 */
export async function patiently(address, options, ask = fetch) {
  for (let left = TRIES; ; left -= 1) {
    const answer = await ask(address, options);
    const again = answer.headers.get("Retry-After");
    if (answer.status !== 503 || again === null || left === 1) return answer;
    say("The server is busy; trying again …");
    await wait(Number(again) || SECONDS);
  }
}

document.addEventListener("htmx:before:request", (event) => {
  const { ctx } = /** @type {CustomEvent} */ (event).detail;
  const ask = ctx.fetch;
  ctx.fetch = (/** @type {string} */ address, /** @type {RequestInit} */ options) => patiently(address, options, ask);
});

/** @type {WeakMap<HTMLImageElement, number>} */
const tried = new WeakMap();

// Errors of pictures do not bubble, but they can be caught on their way down.
document.addEventListener("error", async (event) => {
  const picture = event.target;
  if (!(picture instanceof HTMLImageElement) || !picture.isConnected) return;
  const n = (tried.get(picture) ?? 0) + 1;
  if (n >= TRIES) return;
  tried.set(picture, n);
  const address = picture.src;
  await wait(SECONDS);
  if (picture.src === address) picture.src = address;
}, true);
