// The timeline of all connections: zooms and pans. Each connection is a lane, each phase a bar in it; the fewer lanes the
// window holds, the higher they are.
{
const { KIND, GOES_ON, GIVEN_UP, inflated, unpacked, endOf } = timelinePhases;
const { axisOf, durationWords, nameOf } = timelineWords;
const { ABOVE, BELOW, drawBase, drawMarks } = timelineDrawing;
/** As many ticks as the axis above has at the most. */
const TICKS_MOST = 9;
/** The shortest window, and the part of the whole beyond which numbers in ns are no longer exact. */
const SMALLEST_WINDOW_NS = 1000, SMALLEST_PART = 2 ** -44;
/** The highest canvas and lane; a canvas that is narrower than the last has no names beside its lanes. In px. */
const HIGH_MOST = 440, LANE_MOST = 20, GUTTER_FROM = 640;

class Timeline {
  constructor(root, data, all) {
    Object.assign(this, { root, data, all });
    this.canvas = root.querySelector("canvas");
    this.tip = root.querySelector(".timeline-tip");
    this.said = root.querySelector(".timeline-said");
    this.axis = root.closest(".timeline").querySelector(".phase-axis");
    this.from = 0;
    this.to = data.end_ns;
    this.smallest = Math.min(Math.max(SMALLEST_WINDOW_NS, data.end_ns * SMALLEST_PART), data.end_ns);
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
    const span = Math.min(Math.max(to - from, this.smallest), this.data.end_ns);
    this.from = Math.min(Math.max(from, 0), this.data.end_ns - span);
    this.to = this.from + span;
    this.redraw();
  }
  /** Zooms about a moment, which stays where it is on the screen; without one what is to be seen comes to the middle. */
  zoom(factor, about) {
    const span = Math.min(Math.max((this.to - this.from) / factor, this.smallest), this.data.end_ns);
    const at = about ?? this.anchor(factor);
    const share = about === undefined ? 0.5 : (at - this.from) / (this.to - this.from);
    this.show(at - share * span, at + (1 - share) * span);
  }
  /** What zooms keep in sight: the middle, unless the chosen connection, or all there is, would be out of the window. */
  anchor(factor) {
    const { all, from, to, chosen, lanes } = this;
    const middle = (from + to) / 2;
    const nearest = (i) => Math.min(Math.max(middle, all.first[i]), all.last[i]);
    if (lanes.includes(chosen)) return Math.min(Math.max(nearest(chosen), from), to);
    const half = (to - from) / factor / 2;
    const closer = { ...this, from: middle - half, to: middle + half };
    if (!lanes.length || lanes.some((i) => isInWindow(closer, i))) return middle;
    const places = lanes.map(nearest);
    return places.reduce((best, place) => (Math.abs(place - middle) < Math.abs(best - middle) ? place : best));
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
      if (this.stale) this.redrawAll();
      drawMarks(this);
      this.stale = false;
    });
  }
  redrawAll() {
    this.lanes = this.shown.filter((i) => isInWindow(this, i));
    this.words = axisOf(this.from, this.to, Math.min(Math.max(this.width / 80, 3), TICKS_MOST));
    drawBase(this);
    this.brush.draw();
    say(this);
  }
}

/** Is a connection in a wanted phase in the window, or in none that is known? */
function isInWindow({ all, data, wanted, from, to }, i) {
  if (all.at[i] === all.at[i + 1]) return all.first[i] <= to && all.last[i] >= from;
  for (let k = all.at[i]; k < all.at[i + 1]; k++) {
    if (wanted[all.phase[k] & KIND] && endOf(all, data, k) >= from && all.begin[k] <= to) return true;
  }
  return false;
}

// --- words -------------------------------------------------------------------------------------------------------

function say(timeline) {
  const { lanes, shown, from, to, data, words } = timeline;
  const whole = from === 0 && to === data.end_ns;
  const said = whole ? "" : ` between ${words.base && `${words.base} `}${words.words(from)} and ${words.words(to)}`;
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
  long.textContent = durationWords(all.end[k] - all.begin[k]) + endWords(data, all, k);
  line.append(swatch, data.phases[kind], long);
  return line;
}

function endWords(data, all, k) {
  if (all.phase[k] & GOES_ON) return ", until the capture ends";
  if (all.phase[k] & GIVEN_UP) return ", then given up, as Linux would";
  return all.end[k] > data.captured_ns ? ", beyond the capture" : "";
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
