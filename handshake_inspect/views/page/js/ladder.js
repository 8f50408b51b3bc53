// Ladders: packed as shapes, which is markup without its numbers, and for each row its shape and its numbers. What one
// ladder needs is unpacked when it is wanted: the hundred of its neighbours, and some shapes.

/** Parts that stay unpacked. */
const MOST_UNPACKED = 40;
const unpacked = new Map();

/** The markup of the ladder of a row. It was made by Python, which escaped all that comes from the capture. */
async function ladderOf(row) {
  const ladders = await part(`ladders-${Math.floor(row / data.ladders_in_part)}`);
  const [shape, numbers] = ladders[row % data.ladders_in_part];
  const shapes = await part(`shapes-${Math.floor(shape / data.shapes_in_part)}`);
  const values = numbers.split(",");
  return shapes[shape % data.shapes_in_part].replaceAll("\0", () => values.shift());
}

/** What is packed in the element with this id. */
function part(id) {
  if (!unpacked.has(id)) {
    if (unpacked.size >= MOST_UNPACKED) unpacked.delete(unpacked.keys().next().value);
    const coming = unpack(id);
    unpacked.set(id, coming);
    coming.catch(() => unpacked.delete(id)); // it may have come the next time it is asked for
  }
  return unpacked.get(id);
}

async function unpack(id) {
  const packed = await arrived(id);
  const octets = Uint8Array.from(atob(packed.textContent), (char) => char.charCodeAt(0));
  const stream = new Blob([octets]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return JSON.parse(await new Response(stream).text());
}

/** The element with this id, as soon as the page has come that far. */
async function arrived(id) {
  if (!byId(id) && document.readyState === "loading") {
    await new Promise((done) => document.addEventListener("DOMContentLoaded", done, { once: true }));
  }
  return byId(id);
}

/** The ladders that stand in the page for readers without scripts; they are shown where nothing can be unpacked. */
const standing = byId("first");
standing.remove();

/** Shows the ladder of a row, unless another one was asked for meanwhile. */
async function showLadder(row) {
  const stream = columns.stream[row];
  const drawn = make("div");
  try {
    drawn.innerHTML = await ladderOf(row);
  } catch {
    const known = standing.querySelector(`[id="s=${stream}"] .ladder`);
    drawn.append(known?.cloneNode(true) ?? notUnpacked(stream));
  }
  if (row !== chosenRow) return;
  byId("chosen-heading").textContent = `Connection ${counted(stream)}`;
  byId("ladder").replaceChildren(...drawn.childNodes);
  byId("meanings").replaceChildren(...meanings(row));
  tell("drawn", { stream });
}

/** What stands in the place of a ladder that this browser, or what has arrived of the page, does not yield. */
function notUnpacked(stream) {
  const why = "DecompressionStream" in window ? "The page is damaged, or did not arrive whole" : "This browser is too old to unpack it";
  const said = make("p", "lead", `Its ladder cannot be shown: ${why}.`);
  if (data.command) said.append(" On a terminal: ", make("code", "", `${data.command} -s ${stream}`));
  return said;
}

function showNoLadder() {
  byId("chosen-heading").textContent = "No connection is chosen";
  byId("ladder").replaceChildren();
  byId("meanings").replaceChildren();
}

/** What the findings of a connection mean, in a sentence each. */
function meanings(row) {
  const found = foundOf(row);
  if (!found.length) return [];
  const list = make("dl");
  for (const [code, severity, sentence] of found) {
    const name = make("dt");
    name.append(make("span", `severity severity-${severity}`, severity), " ", make("b", "", code));
    list.append(name, make("dd", "", sentence));
  }
  return [make("h4", "", "What these findings mean"), list];
}
