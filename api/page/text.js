// Numbers and moments in words, and lines of logs as text.

const count = new Intl.NumberFormat("en");

export function number(n) {
  return count.format(n);
}

export function plural(n, one, many = one + "s") {
  return `${number(n)} ${n === 1 ? one : many}`;
}

// 1536 -> "1.5 KiB"
export function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let i = 0;
  while (n >= 1023.95 && i < units.length - 1) {
    n /= 1024;
    i++;
  }
  return `${i === 0 ? n : n.toFixed(n < 99.95 ? 1 : 0)} ${units[i]}`;
}

export function percent(part, all) {
  if (!all) return "0 %";
  const p = (100 * part) / all;
  if (part > 0 && p < 1) return "under 1 %";
  return part < all && p > 99 ? "over 99 %" : `${Math.round(p)} %`;
}

// The API's moments have nanoseconds, which not every browser parses.
export function moment(text) {
  return text ? Date.parse(text.replace(/(\.\d{3})\d*/, "$1")) : null;
}

// Milliseconds -> "40 ms", "0.4 s", "12 s", "3 min 5 s", "2 h 4 min"
export function duration(ms) {
  if (ms < 95) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  const s = Math.round(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

export function ago(then, now) {
  const s = Math.max(0, Math.round((now - then) / 1000));
  if (s < 10) return "just now";
  if (s < 90) return `${s} s ago`;
  if (s < 5400) return `${Math.round(s / 60)} min ago`;
  if (s < 129600) return `${Math.round(s / 3600)} h ago`;
  return `${Math.round(s / 86400)} days ago`;
}

// In the reader's own time zone, to the second.
export function date(then) {
  const two = (n) => String(n).padStart(2, "0");
  const d = new Date(then);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ` +
    `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

// A line as a terminal would leave it, without colours: escape sequences go (ECMA-48), and of what
// carriage returns wrote over, the last that is not empty stays.  Kiln does most of this before it
// stores a line; a page that others' bytes reach does not rely on it.
export function plain(line) {
  const clean = line
    .replace(/\x1b\[[\x20-\x3f]*[\x40-\x7e]?|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[\x20-\x7e]?/g, "");
  const written = clean.split("\r").filter((part) => part !== "");
  return (written.pop() ?? "").replace(/[\x00-\x08\x0b-\x1f\x7f]/g, "\ufffd");
}
