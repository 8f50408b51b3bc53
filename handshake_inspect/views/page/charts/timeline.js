// The timeline of all connections: zooms and pans. Each connection is a lane, each phase a bar in it; the fewer lanes the
// window holds, the higher they are. Times are distances from the first moment, in ns.
{
const SMALLEST_WINDOW_NS = 1000;
const ABOVE = 24, BELOW = 6, HIGH_MOST = 440, LANE_MOST = 20, LANE_NAMED = 12, LANE_LEAST = 1, GUTTER_FROM = 640;
const KIND = 7, GOES_ON = 8;
const UNITS = [["d", 864e11], ["h", 36e11], ["min", 6e10], ["s", 1e9], ["ms", 1e6], ["µs", 1e3], ["ns", 1]];
const STEPS = [
  ...Array.from({ length: 31 }, (_, i) => [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3)),
  ...[15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200].map((s) => s * 1e9),
  ...[1, 2, 7, 14, 30, 90, 180, 365].map((d) => d * 864e11),
];

// --- what stands in the page -------------------------------------------------------------------------------------

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

// --- words -------------------------------------------------------------------------------------------------------

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

// --- the timeline ------------------------------------------------------------------------------------------------

class Timeline {
  constructor(root, data, all) {
    Object.assign(this, { root, data, all });
    this.canvas = root.querySelector("canvas");
    this.tip = root.querySelector(".timeline-tip");
    this.said = root.querySelector(".timeline-said");
    this.axis = root.closest(".timeline").querySelector(".phase-axis");
    this.from = 0;
    this.to = data.end_ns;
    /** Connections that the table shows, those in the window, and the ones that are chosen and pointed at. */
    this.shown = Array.from({ length: all.count }, (_, i) => i);
    this.lanes = this.shown;
    this.chosen = -1;
    this.pointed = -1;
    this.placeOf = new Map(Array.from(all.stream, (stream, i) => [stream, i]));
    /** Which phases bring a connection into the window. */
    this.wanted = data.phases.map(() => true);
    this.brush = new Brush(this);
    /** What is drawn of all connections; marks come over it. */
    this.base = document.createElement("canvas");
    this.canvas.style.height = `${Math.min(ABOVE + LANE_MOST * all.count + BELOW, HIGH_MOST)}px`;
    new ResizeObserver(() => this.redraw()).observe(this.canvas);
    listen(this);
  }

  // Where things are.
  get left() {
    return this.canvas.clientWidth < GUTTER_FROM ? 0 : this.axis.getBoundingClientRect().left - this.canvas.getBoundingClientRect().left;
  }
  get width() {
    return this.canvas.clientWidth - this.left;
  }
  xOf(ns) {
    return this.left + ((ns - this.from) / (this.to - this.from)) * this.width;
  }
  timeAt(x) {
    return this.from + ((x - this.left) / this.width) * (this.to - this.from);
  }
  get lane() {
    return Math.min(LANE_MOST, (this.canvas.clientHeight - ABOVE - BELOW) / Math.max(this.lanes.length, 1));
  }
  /** The lane under a place of the canvas, -1 for none. */
  laneAt(y) {
    const lane = Math.floor((y - ABOVE) / this.lane);
    return y >= ABOVE && lane < this.lanes.length ? this.lanes[lane] : -1;
  }

  // What moves.
  show(from, to) {
    const span = Math.min(Math.max(to - from, Math.min(SMALLEST_WINDOW_NS, this.data.end_ns)), this.data.end_ns);
    this.from = Math.min(Math.max(from, 0), this.data.end_ns - span);
    this.to = this.from + span;
    this.redraw();
  }
  zoom(factor, at = (this.from + this.to) / 2) {
    const span = Math.min(Math.max((this.to - this.from) / factor, SMALLEST_WINDOW_NS), this.data.end_ns);
    const share = (at - this.from) / (this.to - this.from);
    this.show(at - share * span, at + (1 - share) * span);
  }
  pan(share) {
    const by = share * (this.to - this.from);
    this.show(this.from + by, this.to + by);
  }
  filter(streams) {
    this.shown = streams ? Array.from(streams, (stream) => this.placeOf.get(stream)).filter((i) => i !== undefined) : [...this.placeOf.values()];
    this.redraw();
  }
  /** Marks a connection, and brings it into the window. */
  mark(stream) {
    this.chosen = this.placeOf.get(stream) ?? -1;
    const { first, last } = this.all;
    const i = this.chosen;
    if (i >= 0 && (last[i] < this.from || first[i] > this.to)) {
      const half = (this.to - this.from) / 2;
      this.show(first[i] - half, first[i] + half);
    }
    this.redraw(true);
  }
  choose(i) {
    if (i < 0) return;
    this.mark(this.all.stream[i]);
    document.dispatchEvent(new CustomEvent("choose", { detail: { stream: this.all.stream[i], from: "timeline" } }));
  }
  /** Chooses the connection so many lanes further. */
  step(by) {
    if (!this.lanes.length) return;
    const place = this.lanes.indexOf(this.chosen);
    this.choose(this.lanes[place < 0 ? 0 : Math.min(Math.max(place + by, 0), this.lanes.length - 1)]);
  }
  /** Draws everything again with the next frame, or only the marks. */
  redraw(marksAlone = false) {
    this.stale ||= !marksAlone;
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = undefined;
      if (!this.canvas.clientWidth) return; // on paper it is not shown
      if (this.stale) drawBase(this);
      drawMarks(this);
      this.stale = false;
    });
  }
}

// --- drawing -----------------------------------------------------------------------------------------------------

/** The palette's colours as the page has them now; those of phases as numbers too. */
function colours(timeline) {
  const style = getComputedStyle(document.documentElement);
  const named = (name) => style.getPropertyValue(`--${name}`).trim();
  const probe = document.createElement("i");
  timeline.root.append(probe);
  const phases = timeline.data.classes.map((name) => {
    probe.className = name;
    return getComputedStyle(probe).color;
  });
  probe.remove();
  const [text, muted, line, raised, accent, font] = ["text", "muted", "line", "raised", "accent", "font"].map(named);
  return { phases, rgb: phases.map(rgbOf), text, muted, line, raised, accent, font };
}

/** However a browser spells a colour, one pixel of it tells. */
function rgbOf(colour) {
  const pen = new OffscreenCanvas(1, 1).getContext("2d");
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  return pen.getImageData(0, 0, 1, 1).data;
}

function drawBase(timeline) {
  const { canvas, base, all, from, to } = timeline;
  const sharp = window.devicePixelRatio || 1;
  canvas.width = base.width = Math.round(canvas.clientWidth * sharp);
  canvas.height = base.height = Math.round(canvas.clientHeight * sharp);
  const pen = base.getContext("2d");
  pen.scale(sharp, sharp);
  timeline.lanes = timeline.shown.filter((i) => isInWindow(timeline, i));
  timeline.paint ??= colours(timeline);
  drawAxis(timeline, pen, timeline.paint, canvas.clientHeight);
  if (timeline.lane >= LANE_LEAST) drawBars(timeline, pen, timeline.paint);
  else drawDensity(timeline, pen, timeline.paint);
  drawNames(timeline, pen, timeline.paint);
  timeline.brush.draw();
  say(timeline);
}

/** Is a connection in a wanted phase in the window, or in none that is known? */
function isInWindow({ all, data, wanted, from, to }, i) {
  if (all.at[i] === all.at[i + 1]) return all.first[i] <= to && all.last[i] >= from;
  for (let k = all.at[i]; k < all.at[i + 1]; k++) {
    if (wanted[all.phase[k] & KIND] && endOf(all, data, k) >= from && all.begin[k] <= to) return true;
  }
  return false;
}

/** Until when a phase is drawn: beyond the capture if nothing in it ended it. */
function endOf(all, data, k) {
  return all.phase[k] & GOES_ON ? data.end_ns : all.end[k];
}

/** Shows which lane is chosen, and which one is pointed at. */
function drawMarks(timeline) {
  const { canvas, base, lanes, lane, left, width, paint } = timeline;
  const pen = canvas.getContext("2d");
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(base, 0, 0);
  const sharp = window.devicePixelRatio || 1;
  pen.scale(sharp, sharp);
  pen.globalCompositeOperation = "destination-over"; // behind the bars, which keep their colours
  for (const [i, colour] of [[timeline.pointed, paint.text], [timeline.chosen, paint.accent]]) {
    const place = i < 0 ? -1 : lanes.indexOf(i);
    if (place < 0) continue;
    const [y, high] = barOf(lane, place);
    pen.fillStyle = colour;
    pen.globalAlpha = 1;
    if (i === timeline.chosen) pen.fillRect(Math.max(left - 5, 0), y - 1, 3, high + 2);
    pen.globalAlpha = i === timeline.chosen ? 0.22 : 0.1;
    pen.fillRect(0, y - 1, left + width, high + 2);
  }
}

/** Where the bar of a lane begins and how high it is, in whole px, so that no line is brighter than another. */
function barOf(lane, place) {
  const gap = lane < 4 ? 0 : lane < 8 ? 1 : 3;
  const [y, next] = [Math.round(place * lane), Math.round((place + 1) * lane)];
  return [ABOVE + y, Math.max(next - y - gap, 1)];
}

function drawAxis(timeline, pen, paint, high) {
  const { from, to, left, width, data } = timeline;
  const step = stepOf(to - from, Math.max(width / 80, 3));
  const unit = unitOf(step, to);
  pen.font = `11.5px ${paint.font}`;
  pen.textAlign = "center";
  const end = Math.min(Math.max(timeline.xOf(data.captured_ns), left), left + width);
  pen.fillStyle = paint.raised;
  pen.globalAlpha = 0.6;
  pen.fillRect(end, ABOVE - 4, left + width - end, high);
  pen.globalAlpha = 1;
  for (let tick = Math.ceil(from / step) * step; tick <= to; tick += step) {
    const x = Math.round(timeline.xOf(tick)) + 0.5;
    pen.fillStyle = paint.line;
    pen.fillRect(x, ABOVE - 4, 1, high);
    pen.fillStyle = paint.muted;
    if (x > left + 16 && x < left + width - 22) pen.fillText(inUnit(tick, unit), x, 13);
  }
}

function drawBars(timeline, pen, paint) {
  const { all, lanes, lane, left, width } = timeline;
  pen.save();
  pen.beginPath();
  pen.rect(left, 0, width, timeline.canvas.clientHeight);
  pen.clip();
  lanes.forEach((i, place) => {
    const [y, high] = barOf(lane, place);
    if (all.at[i + 1] === all.at[i]) drawUnknown(timeline, pen, paint, i, y + high / 2);
    for (let k = all.at[i]; k < all.at[i + 1]; k++) drawBar(timeline, pen, paint, k, y, high);
  });
  pen.restore();
}

function drawBar(timeline, pen, paint, k, y, high) {
  const { all, data, wanted, from, to, left, width } = timeline;
  const end = endOf(all, data, k);
  if (end < from || all.begin[k] > to || !wanted[all.phase[k] & KIND]) return;
  const scale = width / (to - from);
  const x = Math.max((all.begin[k] - from) * scale, -2);
  pen.fillStyle = paint.phases[all.phase[k] & KIND];
  pen.fillRect(left + x, y, Math.max(Math.min((end - from) * scale, width + 2) - x, 1), high);
}

/** No phase is known, of an RST alone: a line from the first segment to the last. */
function drawUnknown(timeline, pen, paint, i, y) {
  const { all, left, width, from, to } = timeline;
  const scale = width / (to - from);
  pen.fillStyle = paint.muted;
  pen.fillRect(left + (all.first[i] - from) * scale, y - 0.5, Math.max((all.last[i] - all.first[i]) * scale, 2), 1);
}

/** Where many connections share a line of the screen: mixes the colours of their phases, as often as each is there. */
function drawDensity(timeline, pen, paint) {
  const { lanes, left, width, canvas } = timeline;
  const [wide, high] = [Math.max(Math.floor(width), 1), canvas.clientHeight - ABOVE - BELOW];
  const image = new ImageData(wide, high);
  const kinds = paint.phases.length;
  /** How many more connections are in a phase from a place of the line on: 0 where nothing changes. */
  const change = new Int32Array((wide + 1) * kinds);
  for (let y = 0, place = 0; y < high; y++) {
    const until = Math.ceil(((y + 1) / high) * lanes.length);
    const begin = place;
    for (; place < until; place++) addPhases(timeline, lanes[place], wide, change);
    if (place > begin) mixLine(image.data, y * wide * 4, wide, change, paint.rgb, place - begin);
    change.fill(0);
  }
  const whole = document.createElement("canvas");
  [whole.width, whole.height] = [wide, high];
  whole.getContext("2d").putImageData(image, 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(whole, left, ABOVE, width, high);
}

function addPhases({ all, data, wanted, from, to }, i, wide, change) {
  const kinds = data.phases.length;
  const scale = wide / (to - from);
  for (let k = all.at[i]; k < all.at[i + 1]; k++) {
    const end = endOf(all, data, k);
    if (end < from || all.begin[k] > to || !wanted[all.phase[k] & KIND]) continue;
    const x = Math.min(Math.max(Math.floor((all.begin[k] - from) * scale), 0), wide - 1);
    const stop = Math.min(Math.max(Math.ceil((end - from) * scale), x + 1), wide);
    change[x * kinds + (all.phase[k] & KIND)]++;
    change[stop * kinds + (all.phase[k] & KIND)]--;
  }
}

function mixLine(pixels, at, wide, change, rgb, most) {
  const kinds = rgb.length;
  const now = new Int32Array(kinds);
  for (let x = 0; x < wide; x++) {
    let [red, green, blue, total] = [0, 0, 0, 0];
    for (let kind = 0; kind < kinds; kind++) {
      const count = (now[kind] += change[x * kinds + kind]);
      if (!count) continue;
      red += count * rgb[kind][0];
      green += count * rgb[kind][1];
      blue += count * rgb[kind][2];
      total += count;
    }
    if (!total) continue;
    pixels[at + 4 * x] = red / total;
    pixels[at + 4 * x + 1] = green / total;
    pixels[at + 4 * x + 2] = blue / total;
    pixels[at + 4 * x + 3] = 255 * Math.min(0.15 + (0.85 * total) / most, 1);
  }
}

function drawNames(timeline, pen, paint) {
  const { all, lanes, lane, left } = timeline;
  if (lane < LANE_NAMED || left < 60) return;
  pen.font = `11px ${paint.font}`;
  pen.textAlign = "right";
  pen.fillStyle = paint.muted;
  for (let place = 0; place < lanes.length; place++) {
    const i = lanes[place];
    pen.fillText(fitting(pen, all.stream[i], left - 14), left - 10, ABOVE + place * lane + lane / 2 + 3, left - 14);
  }
}

/** The longest name of a connection that there is room for: both sockets, the other one's port, the first alone. */
function fitting(pen, stream, room) {
  const name = nameOf(stream) || `#${stream}`;
  const [one, other] = name.split(" → ");
  const port = other?.slice(other.lastIndexOf(":"));
  return [name, `${one} → ${port}`].find((words) => pen.measureText(words).width <= room) ?? one;
}

function say(timeline) {
  const { lanes, shown, from, to, data } = timeline;
  const unit = unitOf((to - from) / 100, to);
  const whole = from === 0 && to === data.end_ns;
  const said = whole ? "" : ` between ${inUnit(from, unit, 3)} and ${inUnit(to, unit, 3)}`;
  const count = lanes.length.toLocaleString("en-US");
  timeline.said.textContent = `${count}${lanes.length < shown.length ? ` of ${shown.length.toLocaleString("en-US")}` : ""} connection${shown.length === 1 ? "" : "s"}${said}`;
  timeline.root.querySelector("[data-do=narrow]").disabled = whole;
}

/** Says which connection is under the pointer, and how long its phases lasted. */
function showTip(timeline, x, y) {
  const { tip, all, data } = timeline;
  const i = timeline.laneAt(y);
  if (timeline.pointed !== i) {
    timeline.pointed = i;
    timeline.redraw(true);
  }
  tip.hidden = i < 0;
  if (i < 0) return;
  const title = document.createElement("b");
  title.textContent = `#${all.stream[i]} ${nameOf(all.stream[i])}`;
  const lines = [];
  for (let k = all.at[i]; k < all.at[i + 1]; k++) lines.push(tipLine(data, all, k));
  tip.replaceChildren(title, ...lines);
  const { clientWidth, clientHeight } = timeline.canvas;
  tip.style.left = `${Math.max(Math.min(x + 14, clientWidth - tip.offsetWidth - 4), 0)}px`;
  tip.style.top = `${y + 18 + tip.offsetHeight > clientHeight ? y - tip.offsetHeight - 10 : y + 18}px`;
}

function tipLine(data, all, k) {
  const line = document.createElement("span");
  const swatch = document.createElement("i");
  const kind = all.phase[k] & KIND;
  swatch.className = `swatch ${data.classes[kind]}`;
  const long = document.createElement("span");
  const runsOn = all.phase[k] & GOES_ON ? ", until the capture ends" : all.end[k] > data.captured_ns ? ", beyond the capture" : "";
  long.textContent = durationWords(all.end[k] - all.begin[k]) + runsOn;
  line.append(swatch, data.phases[kind], long);
  return line;
}

// --- what people do ----------------------------------------------------------------------------------------------

const KEYS = {
  "+": (timeline) => timeline.zoom(2),
  "=": (timeline) => timeline.zoom(2),
  "-": (timeline) => timeline.zoom(1 / 2),
  0: (timeline) => timeline.show(0, timeline.data.end_ns),
  ArrowLeft: (timeline) => timeline.pan(-0.2),
  ArrowRight: (timeline) => timeline.pan(0.2),
  ArrowUp: (timeline) => timeline.step(-1),
  ArrowDown: (timeline) => timeline.step(1),
  Home: (timeline) => timeline.show(0, timeline.to - timeline.from),
  End: (timeline) => timeline.show(timeline.data.end_ns - (timeline.to - timeline.from), timeline.data.end_ns),
  Enter: (timeline) => timeline.choose(timeline.pointed >= 0 ? timeline.pointed : timeline.chosen),
};

const BUTTONS = {
  in: (timeline) => timeline.zoom(2),
  out: (timeline) => timeline.zoom(1 / 2),
  all: (timeline) => timeline.show(0, timeline.data.end_ns),
  narrow(timeline) {
    const seconds = (ns) => `${(ns / 1e9).toFixed(9).replace(/\.?0+$/, "")}s`;
    const query = `since:${seconds(Math.floor(timeline.from))} until:${seconds(Math.ceil(timeline.to))}`;
    document.dispatchEvent(new CustomEvent("narrow", { detail: { query } }));
  },
};

function listen(timeline) {
  const { canvas, root } = timeline;
  for (const button of root.closest(".timeline").querySelectorAll("[data-phase]")) {
    button.addEventListener("click", () => {
      const wanted = (timeline.wanted[button.dataset.phase] = !timeline.wanted[button.dataset.phase]);
      button.ariaPressed = wanted;
      timeline.redraw();
    });
  }
  root.addEventListener("click", (event) => BUTTONS[event.target.dataset.do]?.(timeline));
  canvas.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key](timeline);
  });
  canvas.addEventListener("wheel", (event) => turn(timeline, event), { passive: false });
  canvas.addEventListener("dblclick", (event) => timeline.zoom(4, timeline.timeAt(event.offsetX)));
  canvas.addEventListener("pointerleave", () => {
    timeline.tip.hidden = true;
    timeline.pointed = -1;
    timeline.redraw(true);
  });
  drag(timeline);
  document.addEventListener("choose", ({ detail }) => detail.from !== "timeline" && timeline.mark(detail.stream));
  document.addEventListener("filter", ({ detail }) => timeline.filter(detail.streams));
  const recolour = () => {
    timeline.paint = null;
    timeline.redraw();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
  new MutationObserver(recolour).observe(document.documentElement, { attributeFilter: ["data-theme"] });
}

/** A wheel scrolls the page, unless the timeline has the focus, or a key or a pinch says that it is meant. */
function turn(timeline, event) {
  if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) timeline.pan(event.deltaX / timeline.width);
  else if (event.ctrlKey || event.metaKey || document.activeElement === timeline.canvas) {
    timeline.zoom(Math.exp(-event.deltaY / (event.ctrlKey ? 120 : 320)), timeline.timeAt(event.offsetX));
  } else return;
  event.preventDefault();
}

/** One pointer drags, two pinch, one that stays where it is chooses. */
function drag(timeline) {
  const { canvas } = timeline;
  const down = new Map();
  let moved = 0;
  const spread = () => {
    const [a, b] = [...down.values()];
    return { middle: (a + b) / 2, apart: Math.max(Math.abs(a - b), 10) };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, event.offsetX);
    if (down.size === 1) moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!down.has(event.pointerId)) return showTip(timeline, event.offsetX, event.offsetY);
    const before = down.size === 2 ? spread() : null;
    const by = event.offsetX - down.get(event.pointerId);
    down.set(event.pointerId, event.offsetX);
    moved += Math.abs(by);
    if (before) timeline.zoom(spread().apart / before.apart, timeline.timeAt(before.middle));
    else if (moved > 3) {
      canvas.classList.add("dragging");
      timeline.tip.hidden = true;
      timeline.pan(-by / timeline.width);
    }
    return undefined;
  });
  const up = (event) => {
    if (down.delete(event.pointerId) && moved <= 3 && event.type === "pointerup") timeline.choose(timeline.laneAt(event.offsetY));
    canvas.classList.toggle("dragging", down.size > 0 && moved > 3);
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
}

/** The window over the rows of phases: drawn anew by a drag, moved by a drag inside it. */
class Brush {
  constructor(timeline) {
    this.timeline = timeline;
    this.over = document.createElement("div");
    this.over.className = "timeline-brush controls";
    this.window = document.createElement("div");
    this.window.className = "timeline-window";
    this.over.append(this.window);
    timeline.root.closest(".timeline").append(this.over);
    this.listen();
  }
  draw() {
    const { from, to, data, axis } = this.timeline;
    const [place, home] = [axis.getBoundingClientRect(), this.over.parentElement.getBoundingClientRect()];
    Object.assign(this.over.style, { left: `${place.left - home.left}px`, width: `${place.width}px`, top: "0", height: `${place.top - home.top}px` });
    this.window.hidden = from === 0 && to === data.end_ns;
    Object.assign(this.window.style, { left: `${(100 * from) / data.end_ns}%`, width: `${(100 * (to - from)) / data.end_ns}%` });
  }
  listen() {
    const { timeline, over } = this;
    const timeOf = (event) => ((event.clientX - over.getBoundingClientRect().left) / over.clientWidth) * timeline.data.end_ns;
    let grip = null;
    over.addEventListener("pointerdown", (event) => {
      over.setPointerCapture(event.pointerId);
      const at = timeOf(event);
      grip = { at, move: event.target === this.window, from: timeline.from, to: timeline.to };
    });
    over.addEventListener("pointermove", (event) => {
      if (!grip) return;
      const at = timeOf(event);
      if (grip.move) timeline.show(grip.from + at - grip.at, grip.to + at - grip.at);
      else if (Math.abs(at - grip.at) > timeline.data.end_ns / 300) timeline.show(Math.min(at, grip.at), Math.max(at, grip.at));
    });
    over.addEventListener("pointerup", () => (grip = null));
    over.addEventListener("pointercancel", () => (grip = null));
    over.addEventListener("dblclick", () => timeline.show(0, timeline.data.end_ns));
  }
}

async function begin(root) {
  const data = JSON.parse(document.getElementById("timeline-data").textContent);
  const told = {};
  for (const name of ["choose", "filter"]) document.addEventListener(name, ({ detail }) => (told[name] = detail));
  const timeline = new Timeline(root, data, unpacked(await inflated(data.packed)));
  timeline.filter(told.filter?.streams ?? null); // what the page said meanwhile
  timeline.mark(told.choose?.stream ?? -1);
}

const root = document.getElementById("timeline-explorer");
if (root) begin(root);
}
