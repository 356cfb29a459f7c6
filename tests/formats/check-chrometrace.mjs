// Checks files of trace events: begin and end events pair up and nest in each thread, time does not
// run backwards, every process and thread that appears is named.
//
//   node check-chrometrace.mjs FILE.json...
//
// The exit status is 1 when a file is not valid.

import { readFileSync } from "node:fs";
import process from "node:process";

/** What is wrong with an array of trace events. */
function* mistakes(events) {
  const metadata = events.filter((event) => event.ph === "M");
  const named = (name, of) => new Set(metadata.filter((event) => event.name === name).map(of));
  const thread = ({ pid, tid }) => `${pid}/${tid}`;
  const processes = named("process_name", ({ pid }) => pid);
  const threads = named("thread_name", thread);
  const open = new Map();
  let last = 0;
  for (const event of events.filter((event) => event.ph !== "M")) {
    const { ph, name, ts, pid, args } = event;
    const lane = thread(event);
    const where = `${ph} ${name} in ${lane} at ${ts}`;
    if (!(ts >= last)) yield `${where}: before ${last}`;
    last = ts;
    if (!processes.has(pid) || !threads.has(lane)) yield `${where}: no name for its thread`;
    if (!open.has(lane)) open.set(lane, []);
    if (ph === "B") {
      if (typeof args?.filename !== "string") yield `${where}: no file name`;
      open.get(lane).push(name);
    } else if (ph !== "E" || open.get(lane).pop() !== name) {
      yield `${where}: does not fit`;
    }
  }
  for (const [lane, names] of open) if (names.length) yield `${lane}: ${names} not ended`;
}

const files = process.argv.slice(2);
if (files.length === 0) {
  console.error("usage: node check-chrometrace.mjs FILE.json...");
  process.exit(2);
}
let failed = false;
for (const file of files) {
  const events = JSON.parse(readFileSync(file, "utf8"));
  const found = [...mistakes(events)];
  failed ||= found.length > 0;
  console.log(found.length ? `NOT OK: ${file}` : `ok: ${file}: ${events.length} events`);
  found.slice(0, 20).forEach((mistake) => console.log(`  ${mistake}`));
}
process.exit(failed ? 1 : 0);
