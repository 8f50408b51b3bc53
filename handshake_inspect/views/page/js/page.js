// What the page does when somebody chooses, filters, sorts, goes back, prints.

const query = byId("query");
/** The state of the history's entries that the page made; those of links and of typed addresses have none. */
const OURS = "report";
const state = { stream: null, query: "", sort: "stream", descending: false };

/** Chooses a connection. `from`: who did it; `series`: of which series of acts it is one (see `note`). */
function choose(stream, from, series = "") {
  const row = rowOf.get(stream);
  if (row === undefined) return;
  state.stream = stream;
  chosenRow = row;
  showChosenRow();
  drawTable();
  showLadder(row);
  showPlace();
  if (from !== "address") note(series);
  if (from !== "event") tell("choose", { stream, from });
}

/** Chooses none: the table shows none that could be. */
function chooseNone() {
  state.stream = null;
  chosenRow = -1;
  showNoLadder();
  showPlace();
}

/** Says where the chosen connection stands in the table: whether others stand before and behind it, whether it does. */
function showPlace() {
  const place = shown.indexOf(chosenRow);
  const isAside = chosenRow >= 0 && place < 0;
  byId("previous").disabled = isAside ? !shown.length : place <= 0;
  byId("next").disabled = isAside ? !shown.length : place < 0 || place === shown.length - 1;
  byId("copy").disabled = chosenRow < 0;
  byId("aside").hidden = !isAside;
}

/** Acts of a series that follow each other within so many milliseconds are one step of the back button. */
const SERIES_MS = 1500;
let noting;
let noted = { series: "", at: 0 };

/** Notes in the address what is shown. Each act can be undone by the back button; keys held down are one act. */
function note(series = "") {
  clearTimeout(noting);
  const goesOn = series !== "" && noted.series === series && performance.now() - noted.at < SERIES_MS;
  noted = { series, at: performance.now() };
  // Browsers allow an address to change some times a second, keys come faster.
  if (goesOn) noting = setTimeout(() => history.replaceState(OURS, "", addressOf(state)), 200);
  else if (addressOf(state) !== location.hash) history.pushState(OURS, "", addressOf(state));
}

function filter(words) {
  state.query = words;
  if (query.value !== words) query.value = words;
  const { test, unclear } = understood(words);
  filterRows(test);
  sayShown(unclear);
  for (const button of document.querySelectorAll("[data-query]")) {
    button.ariaPressed = wordsOf(words).includes(button.dataset.query);
  }
  tell("filter", { streams: words ? Int32Array.from(shown, (row) => columns.stream[row]).sort() : null });
}

function sayShown(unclear) {
  const listed = `${counted(rowCount)} connection${rowCount === 1 ? "" : "s"}`;
  const said = shown.length === rowCount ? listed : `${counted(shown.length)} of ${listed}`;
  byId("shown").textContent = unclear.length ? `${said}; not understood: ${unclear.join(" ")}` : said;
  byId("no-rows").hidden = shown.length > 0;
  if (!shown.length) byId("no-rows").firstElementChild.textContent = whyNone(state.query);
}

function refilter(words, series = "") {
  filter(words);
  scroll.scrollTop = 0;
  drawTable();
  showPlace();
  note(series);
}

function sort(key) {
  const again = state.sort === key;
  state.descending = again ? !state.descending : LARGEST_FIRST.has(key);
  state.sort = key;
  sortRows(key, state.descending);
  markSorted(key, state.descending);
  refilter(state.query);
}

/** Shows what the address asks for. */
function follow() {
  clearTimeout(noting);
  noted.series = "";
  const asked = askedBy(location.hash);
  Object.assign(state, { sort: asked.sort, descending: asked.descending });
  sortRows(asked.sort, asked.descending);
  markSorted(asked.sort, asked.descending);
  filter(asked.query);
  drawTable(); // the table has the room of these rows before it is scrolled to one of them
  if (asked.stream !== null) choose(asked.stream, "address");
  else if (shown.length) choose(columns.stream[shown[0]], "address");
  else chooseNone();
  if (asked.absent !== null) byId("shown").textContent += `; there is no connection ${asked.absent} on this page`;
}

/** Brings the connection that an address names to the reader: it is what a link to it is followed for. */
function land() {
  if (askedBy(location.hash).stream === null) return;
  byId("chosen").focus({ preventScroll: true });
  byId("chosen").scrollIntoView({ block: "start" });
}

function step(by) {
  const place = Math.min(Math.max(shown.indexOf(chosenRow) + by, 0), shown.length - 1);
  if (shown.length) choose(columns.stream[shown[place]], "step", "step");
}

/** Goes from the filter into the table: to the chosen connection, if it is there, or to the first. */
function enterTable() {
  if (!shown.length) return;
  if (!shown.includes(chosenRow)) choose(columns.stream[shown[0]], "table", "keys");
  table.focus();
}

// Without these the table is a table; with them it is a grid that keys go through.
table.setAttribute("role", "grid");
table.tabIndex = 0;
table.addEventListener("keydown", (event) => {
  if (event.target !== table || event.altKey || event.ctrlKey || event.metaKey) return;
  const place = placeFor(event.key);
  if (place !== null) choose(columns.stream[shown[place]], "table", "keys");
  else if (event.key === "Enter" && chosenRow >= 0) byId("chosen").focus();
  else return;
  event.preventDefault();
});
body.addEventListener("click", (event) => {
  const line = event.target.closest("tr[data-row]");
  if (!line || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  choose(columns.stream[line.dataset.row], "table");
  table.focus({ preventScroll: true });
});
byId("chosen").addEventListener("keydown", (event) => {
  if (event.key === "Escape") table.focus();
});
byId("previous").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
byId("copy").addEventListener("click", async () => {
  const command = `${data.command} -s ${state.stream}`;
  try {
    await navigator.clipboard.writeText(command);
    byId("copy").textContent = "Copied";
    setTimeout(() => (byId("copy").textContent = "Copy command"), 1500);
  } catch {
    prompt("The same ladder on a terminal", command);
  }
});

query.addEventListener("input", () => refilter(query.value, "typing"));
query.addEventListener("keydown", (event) => {
  if (!["Enter", "ArrowDown", "Escape"].includes(event.key) || event.isComposing) return;
  event.preventDefault(); // some browsers would clear the filter by Escape
  enterTable();
});
for (const button of document.querySelectorAll(".clear")) {
  button.addEventListener("click", () => {
    refilter("");
    query.focus();
  });
}
byId("filter").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.matches("input, textarea")) return;
  event.preventDefault();
  query.focus();
});
for (const button of document.querySelectorAll("[data-query]")) {
  button.addEventListener("click", () => refilter(toggled(state.query, button.dataset.query)));
}
document.addEventListener("narrow", (event) => refilter(event.detail.query));
document.addEventListener("choose", (event) => {
  if (!["table", "address", "step"].includes(event.detail.from)) choose(event.detail.stream, "event");
});
addEventListener("popstate", ({ state: whose }) => {
  follow();
  if (whose !== OURS) land();
});
scroll.addEventListener("scroll", () => requestAnimationFrame(drawTable), { passive: true });
new ResizeObserver(drawTable).observe(scroll);

addEventListener("beforeprint", drawForPrint);
addEventListener("afterprint", drawAfterPrint);

const THEMES = ["", "light", "dark"];

function showTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  byId("theme").textContent = `Colours: ${theme || "auto"}`;
}

byId("theme").addEventListener("click", () => {
  const theme = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "") + 1) % THEMES.length];
  showTheme(theme);
  try {
    localStorage.setItem("handshake-inspect-theme", theme);
  } catch {
    // no storage for this page: it is forgotten with it
  }
});

// What charts call a connection.
window.report = {
  nameOf: (stream) => {
    const row = rowOf.get(stream);
    return row === undefined ? `#${stream}` : `${endpointText(row, "originator")} → ${endpointText(row, "responder")}`;
  },
};
showTheme(document.documentElement.dataset.theme ?? "");
makeSortable(sort);
for (const line of document.querySelectorAll(".connections ~ .without-script")) line.remove();
measureRows();
follow();
if (performance.getEntriesByType("navigation")[0]?.type === "navigate") land();
history.replaceState(OURS, "");
