// What the page does when somebody chooses, filters, sorts, goes back, prints.

const query = byId("query");
const state = { stream: null, query: "", sort: "stream", descending: false };

/** Chooses a connection. `from`: who did it; `remember`: can the back button undo it? */
function choose(stream, from, remember = false) {
  const row = rowOf.get(stream);
  if (row === undefined) return;
  state.stream = stream;
  chosenRow = row;
  showChosenRow();
  drawTable();
  showLadder(row);
  byId("previous").disabled = shown.indexOf(row) <= 0;
  byId("next").disabled = shown.indexOf(row) >= shown.length - 1;
  if (from !== "address") note(remember);
  if (from !== "event") tell("choose", { stream, from });
}

let noting;

/** Notes in the address what is shown: at once if the back button shall lead here, else when the keys rest. */
function note(remember) {
  clearTimeout(noting);
  if (remember) history.pushState(null, "", addressOf(state));
  else noting = setTimeout(() => history.replaceState(null, "", addressOf(state)), 200);
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
}

function refilter(words) {
  filter(words);
  scroll.scrollTop = 0;
  drawTable();
  note(false);
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
  const asked = askedBy(location.hash);
  Object.assign(state, { sort: asked.sort, descending: asked.descending });
  sortRows(asked.sort, asked.descending);
  markSorted(asked.sort, asked.descending);
  filter(asked.query);
  const first = shown.length ? columns.stream[shown[0]] : null;
  choose(asked.stream ?? first, "address");
  drawTable();
  if (asked.absent !== null) byId("shown").textContent += `; there is no connection ${asked.absent} on this page`;
}

function step(by) {
  const place = Math.min(Math.max(shown.indexOf(chosenRow) + by, 0), shown.length - 1);
  if (shown.length) choose(columns.stream[shown[place]], "step");
}

// Without these the table is a table; with them it is a grid that keys go through.
table.setAttribute("role", "grid");
table.tabIndex = 0;
table.addEventListener("keydown", (event) => {
  if (event.target !== table || event.altKey || event.ctrlKey || event.metaKey) return;
  const place = placeFor(event.key);
  if (place !== null) choose(columns.stream[shown[place]], "table");
  else if (event.key === "Enter" && chosenRow >= 0) byId("chosen").focus();
  else return;
  event.preventDefault();
});
body.addEventListener("click", (event) => {
  const line = event.target.closest("tr[data-row]");
  if (!line || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  choose(columns.stream[line.dataset.row], "table", true);
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

query.addEventListener("input", () => refilter(query.value));
byId("clear").addEventListener("click", () => refilter(""));
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
  if (!["table", "address", "step"].includes(event.detail.from)) choose(event.detail.stream, "event", true);
});
addEventListener("hashchange", follow);
addEventListener("popstate", follow);
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
byId("first")?.remove();
for (const line of document.querySelectorAll(".connections ~ .without-script")) line.remove();
measureRows();
follow();
