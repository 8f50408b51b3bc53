// Which rows are shown, in which order.

const SEVERITIES = { chat: 1, note: 2, warn: 3, error: 4 };
/** By what a column is sorted: a number for each row, NaN if it is not known. */
const SORT_KEYS = {
  stream: (row) => columns.stream[row],
  originator: (row) => columns.originator[row] * 65536 + columns.originator_port[row],
  responder: (row) => columns.responder[row] * 65536 + columns.responder_port[row],
  opening: ranked((one) => one.opening),
  closing: ranked((one) => one.closing),
  states: ranked((one) => one.states.join(" ")),
  found: (row) => foundOf(row).reduce((most, [, severity]) => Math.max(most, 1000 * SEVERITIES[severity]), 0) + foundOf(row).length,
  rtt: (row) => columns.rtt_ns[row] ?? NaN,
  lasted: (row) => columns.lasted_ns[row] ?? NaN,
  segments: (row) => columns.segments[row],
  octets: (row) => columns.octets_originator[row] + columns.octets_responder[row],
  start: (row) => columns.start_ns[row],
};
/** Columns of which the largest are wanted first. */
const LARGEST_FIRST = new Set(["found", "rtt", "lasted", "segments", "octets"]);

/** All rows in order of the column that the table is sorted by. */
let ordered = Int32Array.from({ length: rowCount }, (_, row) => row);
/** Those of them that the filter leaves. */
let shown = ordered;

function ranked(wordOf) {
  const words = data.behaviours.map(wordOf);
  const sorted = [...new Set(words)].sort();
  const rank = words.map((word) => sorted.indexOf(word));
  return (row) => rank[columns.behaviour[row]];
}

/** Sorts by a column; equal rows stay in order of their streams, unknown ones stand last either way. */
function sortRows(key, descending) {
  const keys = Float64Array.from({ length: rowCount }, (_, row) => SORT_KEYS[key](row));
  const sign = descending ? -1 : 1;
  ordered = ordered.slice().sort((a, b) => {
    const [one, other] = [keys[a], keys[b]];
    if (Number.isNaN(one) || Number.isNaN(other)) return Number.isNaN(one) - Number.isNaN(other) || a - b;
    return sign * (one - other) || a - b;
  });
}

function filterRows(test) {
  shown = ordered.filter(test);
}
