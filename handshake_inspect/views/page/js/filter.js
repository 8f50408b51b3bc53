// The filter: words -> which rows they leave. All must hold; "-word" must not.

const UNITS = { ns: 1, us: 1e3, "µs": 1e3, ms: 1e6, s: 1e9, min: 6e10, h: 3.6e12 };
const SIGNS = {
  ">=": (a, b) => a >= b,
  ">": (a, b) => a > b,
  "<=": (a, b) => a <= b,
  "<": (a, b) => a < b,
  "=": (a, b) => a === b,
};

/** Other words for the same keys. */
const SYNONYMS = { opened: "opening", closed: "closing", stream: "s", connection: "s", net: "host", findings: "finding", states: "state" };

/** Makes a test of rows out of what stands behind "key:"; null if it is not understood. */
const KEYS = {
  host: (value) => {
    const network = networkOf(value);
    if (network === null && value.includes("/")) return null;
    const known = data.addresses.map((address, at) =>
      network ? isWithin(network, address) : address === value || data.names[at].some((name) => name.toLowerCase() === value));
    return (row) => known[columns.originator[row]] || known[columns.responder[row]];
  },
  port: (value) => {
    const holds = holdsFor(value, {}, "=");
    return holds && ((row) => holds(columns.originator_port[row]) || holds(columns.responder_port[row]));
  },
  s: (value) => compared(value, (row) => columns.stream[row], {}, "="),
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
    const test = testOf(word);
    if (test === null) unclear.push(word);
    else tests.push(test);
  }
  return { test: (row) => tests.every((one) => one(row)), unclear };
}

/** Says why a query leaves nothing: words that nothing fits, or that nothing fits all of them. */
function whyNone(query) {
  const alone = wordsOf(query).filter((word) => {
    const test = testOf(word);
    return test !== null && !ordered.some(test);
  });
  if (alone.length) return `No connection here fits ${alone.join(", nor ")}.`;
  return "No connection fits all these words together.";
}

/** Makes a test of rows out of a word; null if it is not understood. "-word" is its contrary. */
function testOf(word) {
  if (word.length < 2 || !word.startsWith("-")) return plainTestOf(word);
  const test = plainTestOf(word.slice(1));
  return test && ((row) => !test(row));
}

function plainTestOf(word) {
  const plain = word.replaceAll('"', "").toLowerCase();
  if (word.startsWith('"')) return holdsText(plain);
  const [, number] = /^#(\d.*)$/.exec(plain) ?? [];
  if (number !== undefined) return KEYS.s(number);
  if (networkOf(plain)) return KEYS.host(plain);
  const [, said, value] = /^([a-z]+):(.*)$/s.exec(plain) ?? [];
  const key = Object.hasOwn(SYNONYMS, said ?? "") ? SYNONYMS[said] : said;
  if (key !== undefined && Object.hasOwn(KEYS, key)) return value ? KEYS[key](value) : null;
  // What looks like a key and is none is not searched as text, unless it is a piece of an IPv6 address.
  return key === undefined || /^[\da-f:.]+$/.test(plain) ? holdsText(plain) : null;
}

function holdsText(words) {
  return (row) => textOf(row).includes(words);
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

const MEASURE = "(\\d+(?:\\.\\d+)?)([a-zµ]*)";
const SIGNED = new RegExp(`^(>=|<=|>|<|=|)\\+?${MEASURE}$`);
const RANGE = new RegExp(`^\\+?${MEASURE}(?:-|\\.\\.)(?:${MEASURE})?$`);

/** What is a number to be, for ">10ms", "<1s", "8000-8099", "10-20ms", "1024-"; null if it is not understood.
 *  A number alone is compared by the sign `alone`. */
function holdsFor(value, units, alone) {
  const sized = (number, unit) => Number(number) * (units[unit || "s"] ?? 1);
  const isKnown = (unit) => !unit || Object.hasOwn(units, unit);
  const [, sign, number, unit] = SIGNED.exec(value) ?? [];
  if (number !== undefined) return isKnown(unit) ? (found) => SIGNS[sign || alone](found, sized(number, unit)) : null;
  const [, first, firstUnit, last, lastUnit] = RANGE.exec(value) ?? [];
  if (first === undefined || !isKnown(firstUnit) || !isKnown(lastUnit)) return null;
  const least = sized(first, firstUnit || lastUnit);
  const most = last === undefined ? Infinity : sized(last, lastUnit);
  return (found) => found >= least && found <= most;
}

/** Compares a number of each row. What is not known is neither more nor less. */
function compared(value, numberOf, units, alone = ">=") {
  const holds = holdsFor(value, units, alone);
  return holds && ((row) => numberOf(row) !== null && holds(numberOf(row)));
}

/** The query without this word, or with it if it is not there. */
function toggled(query, word) {
  const words = wordsOf(query);
  return (words.includes(word) ? words.filter((one) => one !== word) : [...words, word]).join(" ");
}
