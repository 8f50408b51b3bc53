// Moments and durations in words, and where ticks stand: the same steps and units as in `scales.py`.
const timelineWords = (() => {
  const UNITS = [["d", 864e11], ["h", 36e11], ["min", 6e10], ["s", 1e9], ["ms", 1e6], ["µs", 1e3], ["ns", 1]];
  const STEPS = [
    ...Array.from({ length: 31 }, (_, i) => [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3)),
    ...[15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200].map((s) => s * 1e9),
    ...[1, 2, 7, 14, 30, 90, 180, 365].map((d) => d * 864e11),
  ];

  function stepOf(span, most) {
    return STEPS.find((step) => span / step < most) ?? span / 2;
  }

  /** The longest unit in which all ticks are short numbers, as in `scales.py`. */
  function unitOf(step, end) {
    return UNITS.find(([, ns]) => (ns > 1e9 ? step % ns === 0 : ns <= Math.min(1000 * step, Math.max(end, 1)))) ?? UNITS[6];
  }

  function inUnit(ns, [name, unit], digits = 6) {
    return ns ? `${Number((ns / unit).toFixed(digits)).toLocaleString("en-US", { maximumFractionDigits: digits })} ${name}` : "0";
  }

  function durationWords(ns) {
    const unit = UNITS.slice(2).find(([, size]) => ns >= (size > 1e9 ? 10 : 1) * size) ?? UNITS[6];
    return inUnit(ns, unit, 3);
  }

  function nameOf(stream) {
    return window.report?.nameOf?.(stream) ?? "";
  }

  return { stepOf, unitOf, inUnit, durationWords, nameOf };
})();
