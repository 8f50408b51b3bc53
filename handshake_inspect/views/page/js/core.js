// The table's data, how it is said in words, and how the parts of the page tell each other what happens.
// Rows are numbered from 0 as the data has them; `shown` (order.js) is which of them the table shows, in which order.

const data = JSON.parse(byId("table-data").textContent);
const columns = data.columns;
const rowCount = columns.stream.length;
/** Row of each stream. */
const rowOf = new Map(columns.stream.map((stream, row) => [stream, row]));

function byId(id) {
  return document.getElementById(id);
}

/** Makes an element. Its text is text: nothing of the data becomes markup. */
function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** Tells whoever listens on the document: "choose", "filter", "narrow", "drawn". */
function tell(name, detail) {
  document.dispatchEvent(new CustomEvent(name, { detail }));
}

function counted(number) {
  return number.toLocaleString("en-US");
}

const [MINUTE, HOUR, DAY, YEAR] = [6e10, 3.6e12, 8.64e13, 31556952e9];

/** Says a duration in nanoseconds as `quantities.duration` does; null is not known. */
function durationText(ns) {
  if (ns === null) return "-";
  const size = Math.abs(ns);
  if (size >= 2 * YEAR) return `${(ns / YEAR).toFixed(1)} years`;
  if (size >= 2 * DAY) return `${(ns / DAY).toFixed(1)} days`;
  if (size >= 2 * HOUR) return `${(ns / HOUR).toFixed(1)} h`;
  if (size >= 10 * MINUTE) return `${(ns / MINUTE).toFixed(1)} min`;
  if (size >= 1e9) return `${thousandths(Math.floor((ns + 500) / 1000))} s`;
  return `${thousandths(ns)} ms`;
}

/** A number divided by a million, rounded to three decimals. */
function thousandths(number) {
  const rounded = Math.floor((Math.abs(number) + 500) / 1000);
  return `${number < 0 ? "-" : ""}${Math.floor(rounded / 1000)}.${String(rounded % 1000).padStart(3, "0")}`;
}

/** An offset in seconds with microseconds: "+12.345678". */
function offsetText(ns) {
  const micros = Math.floor(ns / 1000);
  return `+${Math.floor(micros / 1e6)}.${String(micros % 1e6).padStart(6, "0")}`;
}

function endpointText(row, end) {
  const address = data.addresses[columns[end][row]];
  const port = columns[`${end}_port`][row];
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function behaviourOf(row) {
  return data.behaviours[columns.behaviour[row]];
}

/** What was found of a connection: [code, severity, sentence] of each, the worst first. */
function foundOf(row) {
  return data.sets[columns.found[row]].map((code) => data.codes[code]);
}

/** SYN to third segment: at most that, if one was sent again and nobody can tell which copy was answered. */
function rttText(row) {
  const atMost = columns.rtt_ambiguous[row] && columns.rtt_ns[row] !== null;
  return (atMost ? "≤ " : "") + durationText(columns.rtt_ns[row]);
}

/** The words of each cell, with the role whose colour each has ("" for none), by the key of the column. */
const CELLS = {
  originator: (row) => [["", endpointText(row, "originator")]],
  responder: (row) => [["", endpointText(row, "responder")]],
  opening: (row) => [[behaviourOf(row).opening_role, behaviourOf(row).opening]],
  closing: (row) => [[behaviourOf(row).closing_role, behaviourOf(row).closing]],
  states: (row) => behaviourOf(row).states.map((state, end) => [behaviourOf(row).state_roles[end], state ?? "-"]),
  found: (row) => foundOf(row).map(([code, severity]) => [severity, code]),
  rtt: (row) => [["", rttText(row)]],
  lasted: (row) => [["", durationText(columns.lasted_ns[row])]],
  segments: (row) => [["", counted(columns.segments[row])]],
  octets: (row) => [["", `${counted(columns.octets_originator[row])} / ${counted(columns.octets_responder[row])}`]],
  start: (row) => [["", offsetText(columns.start_ns[row])]],
};
