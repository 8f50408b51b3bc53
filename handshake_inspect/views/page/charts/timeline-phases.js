// The phases of all connections, as `packed.py` packed them. Times are distances from the first moment, in ns.
// `at[i]` is the first phase of connection i, `at[i + 1]` the first one behind its last.
const timelinePhases = (() => {
  /** Bits of a phase: which it is; it went on when its capture ended, at the last frame of all; it counts as given up. */
  const KIND = 7, GOES_ON = 8, REACHES_THE_END = 16, GIVEN_UP = 32;

  async function inflated(text) {
    const octets = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    const stream = new Blob([octets]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  /** Reads the columns that `packed.py` wrote. `at[i]` is the first phase of connection i. */
  function unpacked(octets) {
    let place = 0;
    const number = () => {
      let value = 0, factor = 1, octet;
      do {
        octet = octets[place++];
        value += (octet & 127) * factor;
        factor *= 128;
      } while (octet & 128);
      return value;
    };
    const column = (length) => Float64Array.from({ length }, number);
    const count = number();
    const [stream, first, lasted, phases] = [0, 1, 2, 3].map(() => column(count));
    const at = new Uint32Array(count + 1);
    for (let i = 0; i < count; i++) {
      stream[i] += i ? stream[i - 1] : 0;
      first[i] = (first[i] % 2 ? -(first[i] + 1) / 2 : first[i] / 2) + (i ? first[i - 1] : 0);
      at[i + 1] = at[i] + phases[i];
    }
    const [phase, begin, end] = [0, 1, 2].map(() => column(at[count]));
    const last = Float64Array.from(first, (value, i) => value + lasted[i]);
    for (let i = 0; i < count; i++) {
      for (let k = at[i], now = first[i]; k < at[i + 1]; k++) {
        begin[k] += now;
        end[k] += begin[k];
        now = end[k];
        last[i] = Math.max(last[i], now);
      }
    }
    return { count, stream, first, last, at, phase, begin, end };
  }

  /** Until when a phase is drawn: to the end of the axis if it went on at the last frame. */
  function endOf(all, data, k) {
    return all.phase[k] & REACHES_THE_END ? data.end_ns : all.end[k];
  }

  return { KIND, GOES_ON, GIVEN_UP, inflated, unpacked, endOf };
})();
