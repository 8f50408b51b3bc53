// Moments and durations in words, and where ticks stand: the same steps and units as in `scales.py`.
const timelineWords = (() => {
  const [YEAR, DAY, HOUR, MINUTE, SECOND] = [31556952e9, 864e11, 36e11, 6e10, 1e9];
  const UNITS = [["year", YEAR], ["day", DAY], ["h", HOUR], ["min", MINUTE], ["s", SECOND], ["ms", 1e6], ["µs", 1e3], ["ns", 1]];
  const STEPS = [
    ...Array.from({ length: 31 }, (_, i) => [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3)),
    ...[15, 30].map((s) => s * SECOND),
    ...[1, 2, 5, 10, 15, 30].map((min) => min * MINUTE),
    ...[1, 2, 3, 6].map((h) => h * HOUR),
    ...[1, 2, 5, 10, 20, 50, 100].map((d) => d * DAY),
    ...[1, 2, 5, 10, 20, 50, 100].map((years) => years * YEAR),
  ];
  /** From which length on a duration is told in a unit: "26.3 min", but not "1.2 min"; as in `quantities.py`. */
  const LONG = [["years", YEAR, 2], ["days", DAY, 2], ["h", HOUR, 2], ["min", MINUTE, 10]];
  /** So many steps from the beginning a tick is told by its distance from a round moment near it. */
  const FAR = 1000;
  /** What such moments are multiples of: the longest that is not much longer than the window. */
  const ROUND = [YEAR, DAY, HOUR, MINUTE, SECOND, 1e6, 1e3];

  function stepOf(span, most) {
    return STEPS.find((step) => Math.floor(span / step) < most) ?? STEPS.at(-1);
  }

  /** The longest unit in which all ticks are short numbers, as in `scales.py`. */
  function unitOf(step, end) {
    return UNITS.find(([, ns]) => (ns > SECOND ? step % ns === 0 : ns <= Math.min(1000 * step, Math.max(end, 1)))) ?? UNITS.at(-1);
  }

  function inUnit(ns, [name, unit], digits = 6) {
    const plural = unit >= DAY && ns > unit ? "s" : "";
    return ns ? `${Number((ns / unit).toFixed(digits)).toLocaleString("en-US", { maximumFractionDigits: digits })} ${name}${plural}` : "0";
  }

  /**
   * What stands on an axis that shows a window: its ticks, and how moments in it are told. Far from the beginning these
   * are distances from `base`, a round moment before them: "5 d 4 h" and "+12 min" instead of "7,452 min".
   */
  function axisOf(from, to, most) {
    const step = stepOf(to - from, most);
    const isFar = to / step >= FAR || [DAY, YEAR].some((long) => step < long && to >= 2 * long);
    const round = ROUND.find((size) => size <= 10 * (to - from)) ?? 1;
    const base = isFar ? Math.floor(from / round) * round : 0;
    const unit = unitOf(step, to - base);
    const digits = Math.max(Math.ceil(Math.log10(unit[1] / (to - from))) + 3, 3);
    const sign = base ? "+" : "";
    const ticks = [];
    for (let n = Math.ceil((from - base) / step); base + n * step <= to; n++) {
      ticks.push({ ns: base + n * step, words: sign + inUnit(n * step, unit) });
    }
    return { ticks, base: base ? momentWords(base, round) : "", words: (ns) => sign + inUnit(ns - base, unit, digits) };
  }

  /** A moment that is a multiple of `round`, by its distance from the beginning: "1 y 352 d 4 h 52 min 7.337 s". */
  function momentWords(ns, round) {
    const parts = [];
    let rest = ns;
    for (const [name, unit] of [["y", YEAR], ["d", DAY], ["h", HOUR], ["min", MINUTE]]) {
      const count = Math.floor(rest / unit);
      if (count) parts.push(`${count.toLocaleString("en-US")} ${name}`);
      rest -= count * unit;
    }
    rest = Math.round(rest / round) * round; // a number of years in ns has no room for single ones
    if (rest) parts.push(inUnit(rest, UNITS.find(([, unit]) => unit <= (parts.length ? SECOND : Math.min(rest, SECOND))), 9));
    return parts.join(" ");
  }

  function durationWords(ns) {
    const long = LONG.find(([, unit, least]) => ns >= least * unit);
    if (long) return `${(ns / long[1]).toFixed(1)} ${long[0]}`;
    return inUnit(ns, UNITS.slice(4).find(([, size]) => ns >= size) ?? UNITS.at(-1), 3);
  }

  function nameOf(stream) {
    return window.report?.nameOf?.(stream) ?? "";
  }

  return { axisOf, durationWords, nameOf };
})();
