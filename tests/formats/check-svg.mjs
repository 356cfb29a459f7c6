// Opens a flame graph in a real browser and uses it as a person would.
//
//   node check-svg.mjs FILE.svg SCREENSHOT.png [NODE_MODULES] [--upright]
//
// With --upright the root has to be at the bottom.
//
// Needs playwright-core (found in NODE_MODULES, or along NODE_PATH) and a Chromium (CHROMIUM, or
// /usr/bin/chromium). Prints a line for each thing that works; the exit status is 1 when one does
// not. Screenshots: the given one of the whole graph, and beside it one zoomed and one searched.

import { createRequire } from "node:module";
import path from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

const upright = process.argv.includes("--upright");
const [file, screenshot, modules] = process.argv.slice(2).filter((arg) => arg !== "--upright");
if (!file || !screenshot) {
  console.error("usage: node check-svg.mjs FILE.svg SCREENSHOT.png [NODE_MODULES] [--upright]");
  process.exit(2);
}
// `import` does not look along NODE_PATH, `require` does.
const require = createRequire(modules ? path.resolve(modules, "_") : import.meta.url);
const { chromium } = require("playwright-core");

let failed = false;
function check(ok, what) {
  console.log(`${ok ? "ok" : "NOT OK"}: ${what}`);
  failed ||= !ok;
}

/** The visible frames, from top to bottom: text, place on the screen, colour. */
function frames(page) {
  return page.evaluate(() =>
    [...document.querySelectorAll("#frames > *")]
      .filter((frame) => !frame.classList.contains("hide"))
      .map((frame) => {
        const rect = frame.querySelector("rect");
        const { x, y, width, height } = rect.getBoundingClientRect();
        const tooltip = frame.querySelector("title").textContent;
        const text = frame.querySelector("text").textContent;
        return { tooltip, text, x, y, width, height, fill: rect.getAttribute("fill") };
      })
      .sort((a, b) => a.y - b.y || a.x - b.x),
  );
}

/** Zooming and searching put their state into the address; nothing is loaded, so wait a frame. */
const settled = (page) => page.evaluate(() => new Promise((done) => setTimeout(done, 50)));
const beside = (suffix) => screenshot.replace(/(\.png)?$/, `-${suffix}.png`);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});
try {
  const page = await browser.newPage({ viewport: { width: 1200, height: 600 } });
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  let term = "";
  page.on("dialog", (dialog) => dialog.accept(term));
  await page.goto(pathToFileURL(path.resolve(file)).href);
  await settled(page);
  const height = await page.evaluate(() => document.documentElement.getBoundingClientRect().height);
  await page.setViewportSize({ width: 1200, height: Math.min(Math.ceil(height), 4000) });
  await settled(page);
  await page.screenshot({ path: screenshot });

  const title = await page.textContent("#title");
  check(title.trim() !== "", `title: ${title}`);
  const all = await frames(page);
  const root = upright ? all[all.length - 1] : all[0];
  const rest = all.filter((frame) => frame !== root);
  check(all.length > 2, `${all.length} frames`);
  check(root.tooltip.startsWith("all ("), `root: ${root.tooltip}`);
  if (upright) {
    check(rest.every((frame) => frame.y < root.y), "the root is at the bottom");
  } else {
    check(rest.every((frame) => frame.y > root.y), "the root is on top");
  }
  check(rest.every((frame) => frame.width <= root.width + 1), "the root is the widest");
  check(all.some((frame) => frame.text !== ""), "frames have text");

  // A frame to zoom on: not as wide as the root, but wide enough to be clicked.
  const narrow = (frame) => frame.width < root.width * 0.9 && frame.width > 5;
  const target = rest.find(narrow) ?? rest[0];
  const inside = (frame) => ({ x: frame.x + frame.width / 2, y: frame.y + frame.height / 2 });
  const click = async (at) => {
    await page.mouse.click(at.x, at.y);
    await settled(page);
  };

  const spot = inside(target);
  await page.mouse.move(spot.x, spot.y);
  const details = await page.textContent("#details");
  check(details.includes(target.tooltip), `pointing at a frame shows: ${details}`);

  await click(spot);
  await page.screenshot({ path: beside("zoomed") });
  let now = await frames(page);
  const zoomed = now.find((frame) => frame.tooltip === target.tooltip && frame.y === target.y);
  check(zoomed && Math.abs(zoomed.width - root.width) < 2, `a click zooms on ${target.tooltip}`);
  check(await page.isVisible("#unzoom"), "there is a way back");
  await page.click("#unzoom");
  await settled(page);
  now = await frames(page);
  const same = (a, b) => a.tooltip === b.tooltip && Math.abs(a.x - b.x) < 1 && Math.abs(a.width - b.width) < 1;
  check(now.length === all.length && now.every((frame, at) => same(frame, all[at])), "zoom is reset");

  // The target's name as a regular expression that matches from the start of a frame's text.
  const name = target.tooltip.split(" (")[0];
  term = `^${name.replace(/[^\w ]/g, "\\$&")} ?\\(`;
  await page.click("#search");
  await settled(page);
  await page.screenshot({ path: beside("searched") });
  now = await frames(page);
  const expected = all.filter((frame) => new RegExp(term).test(frame.tooltip)).length;
  const found = now.filter((frame, at) => frame.fill !== all[at].fill);
  check(found.length === expected && found.length > 0, `search for ${term} highlights ${expected}`);
  check(found.every((frame) => new RegExp(term).test(frame.tooltip)), "and only what matches");
  const matched = await page.textContent("#matched");
  check(/^Matched: \d+(\.\d+)?%$/.test(matched), `it shows a share: ${matched}`);

  await page.click("#search");
  await settled(page);
  now = await frames(page);
  check(now.every((frame, at) => frame.fill === all[at].fill), "search is reset");
  check(!(await page.isVisible("#matched")), "and the share is gone");
  check(errors.length === 0, `no script errors ${errors.join("; ")}`);
} finally {
  await browser.close();
}
process.exit(failed ? 1 : 0);
