// The filter: words -> which rows they leave. All must hold; "-word" must not.

const UNITS = { ns: 1, us: 1e3, "µs": 1e3, ms: 1e6, s: 1e9, min: 6e10, h: 3.6e12 };
const SIGNS = {
  "": (a, b) => a >= b,
  ">=": (a, b) => a >= b,
  ">": (a, b) => a > b,
  "<=": (a, b) => a <= b,
  "<": (a, b) => a < b,
  "=": (a, b) => a === b,
};

/** Makes a test of rows out of what stands behind "key:"; null if it is not understood. */
const KEYS = {
  host: (value) => {
    const known = data.addresses.map((address, at) => address === value || data.names[at].some((name) => name.toLowerCase() === value));
    return (row) => known[columns.originator[row]] || known[columns.responder[row]];
  },
  port: (value) => within(value, (row, holds) => holds(columns.originator_port[row]) || holds(columns.responder_port[row])),
  s: (value) => within(value, (row, holds) => holds(columns.stream[row])),
  opening: (value) => ofBehaviour((one) => one.opening === value),
  closing: (value) => ofBehaviour((one) => one.closing === value),
  state: (value) => ofBehaviour((one) => one.states.some((state) => (state ?? "-").toLowerCase() === value)),
  finding: (value) => {
    const has = data.sets.map((set) => set.some((code) => data.codes[code][0] === value));
    return (row) => has[columns.found[row]];
  },
  severity: (value) => {
    const has = data.sets.map((set) => set.some((code) => data.codes[code][1] === value));
    return (row) => has[columns.found[row]];
  },
  capture: (value) => {
    const known = data.captures.map((name) => name.toLowerCase().includes(value));
    return (row) => known[columns.capture[row]];
  },
  rtt: (value) => compared(value, (row) => columns.rtt_ns[row], UNITS),
  lasted: (value) => compared(value, (row) => columns.lasted_ns[row], UNITS),
  octets: (value) => compared(value, (row) => columns.octets_originator[row] + columns.octets_responder[row], {}),
  segments: (value) => compared(value, (row) => columns.segments[row], {}),
  since: (value) => compared(`>=${value}`, (row) => columns.start_ns[row] + (columns.lasted_ns[row] ?? 0), UNITS),
  until: (value) => compared(`<=${value}`, (row) => columns.start_ns[row], UNITS),
};

/** The words of a query: blanks part them, except between quotation marks. */
function wordsOf(query) {
  return query.match(/(?:[^\s"]|"[^"]*"?)+/g) ?? [];
}

/** Returns the test of a query, and the words that are not understood. */
function understood(query) {
  const unclear = [];
  const tests = [];
  for (const word of wordsOf(query)) {
    const negated = word.length > 1 && word.startsWith("-");
    const test = testOf(word.slice(negated ? 1 : 0).replaceAll('"', "").toLowerCase());
    if (test === null) unclear.push(word);
    else tests.push(negated ? (row) => !test(row) : test);
  }
  return { test: (row) => tests.every((one) => one(row)), unclear };
}

function testOf(word) {
  const [, key, value] = /^([a-z]+):(.+)$/s.exec(word) ?? [];
  if (key !== undefined && Object.hasOwn(KEYS, key)) return KEYS[key](value);
  return (row) => textOf(row).includes(word);
}

const texts = new Array(rowCount);

/** All words of a row, in small letters; made when they are first searched. */
function textOf(row) {
  texts[row] ??= [
    columns.stream[row],
    ...["originator", "responder", "opening", "closing", "states", "found"].flatMap((key) => CELLS[key](row).map(([, text]) => text)),
    ...data.names[columns.originator[row]],
    ...data.names[columns.responder[row]],
    data.captures[columns.capture[row]],
  ].join(" ").toLowerCase();
  return texts[row];
}

function ofBehaviour(holds) {
  const known = data.behaviours.map(holds);
  return (row) => known[columns.behaviour[row]];
}

/** "443", "8000-8099". */
function within(value, test) {
  const [, first, last] = /^(\d+)(?:-(\d+))?$/.exec(value) ?? [];
  if (first === undefined) return null;
  const holds = (number) => number >= Number(first) && number <= Number(last ?? first);
  return (row) => test(row, holds);
}

/** ">10ms", "<1s", "1000" (at least). What is not known is neither more nor less. */
function compared(value, numberOf, units) {
  const [, sign, number, unit] = /^(>=|<=|>|<|=|)\+?(\d+(?:\.\d+)?)([a-zµ]*)$/.exec(value) ?? [];
  if (number === undefined || (unit && !Object.hasOwn(units, unit))) return null;
  const limit = Number(number) * (units[unit || "s"] ?? 1);
  return (row) => numberOf(row) !== null && SIGNS[sign](numberOf(row), limit);
}

/** The query without this word, or with it if it is not there. */
function toggled(query, word) {
  const words = wordsOf(query);
  return (words.includes(word) ? words.filter((one) => one !== word) : [...words, word]).join(" ");
}
