// Draws the lanes of a timeline on its canvas: an axis, bars or, where many connections share a line, a mixture; the names
// of lanes, and the marks of what is chosen and pointed at.
const timelineDrawing = (() => {
  const { KIND, endOf } = timelinePhases;
  const { nameOf } = timelineWords;
  /** Room above and below the lanes, in px; the lane that has a name, and the one that is drawn alone. */
  const ABOVE = 24, BELOW = 6, LANE_NAMED = 12, LANE_LEAST = 1;
  /** So wide is the shortest bar, in px: a SYN that is refused at once is seen. */
  const BAR_LEAST = 2;

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
    const { canvas, base } = timeline;
    const sharp = window.devicePixelRatio || 1;
    canvas.width = base.width = Math.round(canvas.clientWidth * sharp);
    canvas.height = base.height = Math.round(canvas.clientHeight * sharp);
    const pen = base.getContext("2d");
    pen.scale(sharp, sharp);
    timeline.paint ??= colours(timeline);
    drawAxis(timeline, pen, timeline.paint, canvas.clientHeight);
    if (timeline.lane >= LANE_LEAST) drawBars(timeline, pen, timeline.paint);
    else drawDensity(timeline, pen, timeline.paint);
    drawNames(timeline, pen, timeline.paint);
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
    const { left, width, data, words: { ticks, base } } = timeline;
    pen.font = `11.5px ${paint.font}`;
    const end = Math.min(Math.max(timeline.xOf(data.captured_ns), left), left + width);
    pen.fillStyle = paint.raised;
    pen.globalAlpha = 0.6;
    pen.fillRect(end, ABOVE - 4, left + width - end, high);
    pen.globalAlpha = 1;
    const taken = drawOrigin(pen, paint, base, left);
    pen.textAlign = "center";
    for (const { ns, words } of ticks) {
      const x = Math.round(timeline.xOf(ns));
      const half = pen.measureText(words).width / 2;
      pen.fillStyle = paint.line;
      pen.fillRect(x, ABOVE - 4, 1, high);
      pen.fillStyle = paint.muted;
      if (x - half > taken && x + half < left + width) pen.fillText(words, x, 13);
    }
  }

  /** The moment from which ticks count stands beside the axis or, where there is no room, at its beginning. */
  function drawOrigin(pen, paint, base, left) {
    if (!base) return left;
    pen.fillStyle = paint.text;
    pen.textAlign = left ? "right" : "left";
    pen.fillText(base, left ? left - 10 : 0, 13, left ? left - 10 : undefined);
    return left || pen.measureText(base).width + 8;
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
    pen.fillRect(left + x, y, Math.max(Math.min((end - from) * scale, width + 2) - x, BAR_LEAST), high);
  }

  /** No phase is known, of an RST alone: a line from the first segment to the last. */
  function drawUnknown(timeline, pen, paint, i, y) {
    const { all, left, width, from, to } = timeline;
    const scale = width / (to - from);
    pen.fillStyle = paint.muted;
    pen.fillRect(left + (all.first[i] - from) * scale, y - 0.5, Math.max((all.last[i] - all.first[i]) * scale, BAR_LEAST), 1);
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
      const stop = Math.min(Math.max(Math.ceil((end - from) * scale), x + BAR_LEAST), wide);
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

  return { ABOVE, BELOW, drawBase, drawMarks };
})();
