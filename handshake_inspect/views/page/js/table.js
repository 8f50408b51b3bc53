// The table: of thousands of rows only those on the screen are elements. It is one stop of the Tab key; the row that
// is chosen is its active descendant, which a screen reader follows.

const table = byId("table");
const scroll = byId("scroll");
const body = byId("rows");
const columnKeys = [...table.querySelectorAll("th")].map((head) => head.dataset.key);
/** Rows above and below the screen that are elements too. */
const MARGIN = 12;
/** Rows that are printed, at most. */
const MOST_PRINTED = 1000;
/** Elements of rows, those that are drawn and some that were. */
const made = new Map();
const MOST_MADE = 1000;
/** They keep free the room of the rows before and behind those that are drawn. */
const [above, below] = [spacer(), spacer()];
let rowHeight = 30;
let isPrinting = false;
/** The chosen row, -1 for none. */
let chosenRow = -1;

function makeRow(row) {
  const line = make("tr");
  line.id = `row-${columns.stream[row]}`;
  line.dataset.row = row;
  for (const key of columnKeys) line.append(key === "stream" ? streamCell(row) : cellOf(row, key));
  return line;
}

function streamCell(row) {
  const cell = make("td", "col-stream");
  const link = make("a", "", columns.stream[row]);
  link.href = `#s=${columns.stream[row]}`;
  link.tabIndex = -1;
  cell.append(link);
  return cell;
}

function cellOf(row, key) {
  const cell = make("td", `col-${key}`);
  CELLS[key](row).forEach(([role, text], at) => {
    if (at) cell.append(" ", make("span", "between", key === "states" ? "/" : "·"), " ");
    cell.append(role ? make("span", `state-${role}`, text) : text);
  });
  if (key === "originator" || key === "responder") {
    cell.title = [cell.textContent, ...data.names[columns[key][row]]].join(", ");
  }
  return cell;
}

/** Draws rows `first` to `last` (without it) of those shown, between two rows that keep the others' room free. */
function drawBetween(first, last) {
  const lines = [];
  for (let place = first; place < last; place++) {
    const row = shown[place];
    if (!made.has(row)) made.set(row, makeRow(row));
    const line = made.get(row);
    line.ariaRowIndex = place + 2;
    line.ariaSelected = row === chosenRow;
    line.classList.toggle("odd", place % 2 === 1);
    lines.push(line);
  }
  above.style.height = `${first * rowHeight}px`;
  below.style.height = `${(shown.length - last) * rowHeight}px`;
  putIn([above, ...lines, below]);
  if (made.size > MOST_MADE) made.forEach((line, row) => line.isConnected || made.delete(row));
  table.ariaRowCount = shown.length + 1;
  const line = chosenRow >= 0 && byId(`row-${columns.stream[chosenRow]}`);
  if (line) table.setAttribute("aria-activedescendant", line.id);
  else table.removeAttribute("aria-activedescendant");
}

/** Leaves these lines in the table, in this order. One that is there already stays: if it were taken out and put in
 *  again, a press of the button on it would be no click when the button is released, and its focus would be lost. */
function putIn(lines) {
  const wanted = new Set(lines);
  for (const line of [...body.children]) if (!wanted.has(line)) line.remove();
  let next = body.firstElementChild;
  for (const line of lines) {
    if (line === next) next = next.nextElementSibling;
    else body.insertBefore(line, next);
  }
}

function spacer() {
  const line = make("tr", "spacer");
  line.ariaHidden = "true";
  return line;
}

function drawTable() {
  if (isPrinting) return;
  const first = Math.max(0, Math.floor(scroll.scrollTop / rowHeight) - MARGIN);
  const last = Math.min(shown.length, Math.ceil((scroll.scrollTop + scroll.clientHeight) / rowHeight) + MARGIN);
  drawBetween(Math.min(first, last), last);
}

/** Draws as many rows as are printed, and keeps them until they are. */
function drawForPrint() {
  isPrinting = true;
  drawBetween(0, Math.min(shown.length, MOST_PRINTED));
}

function drawAfterPrint() {
  isPrinting = false;
  drawTable();
}

/** Brings the chosen row onto the screen. */
function showChosenRow() {
  const place = shown.indexOf(chosenRow);
  if (place < 0) return;
  const head = table.tHead.offsetHeight;
  const top = place * rowHeight;
  if (top < scroll.scrollTop) scroll.scrollTop = top;
  else if (top + rowHeight > scroll.scrollTop + scroll.clientHeight - head) {
    scroll.scrollTop = top + rowHeight + head - scroll.clientHeight;
  }
}

/** Where keys lead from the chosen row; null: they are no keys of the table. */
function placeFor(key) {
  const page = Math.max(1, Math.floor(scroll.clientHeight / rowHeight) - 2);
  const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[key];
  if (by === undefined || !shown.length) return null;
  const place = shown.indexOf(chosenRow);
  if (place < 0) return by > 0 && by < Infinity ? 0 : by === Infinity ? shown.length - 1 : 0;
  return Math.min(Math.max(place + by, 0), shown.length - 1);
}

/** Marks the column that the table is sorted by. */
function markSorted(sorted, descending) {
  for (const head of table.querySelectorAll("th")) {
    if (head.dataset.key === sorted) head.ariaSort = descending ? "descending" : "ascending";
    else head.removeAttribute("aria-sort");
  }
}

/** Gives each heading a button that sorts by it. */
function makeSortable(sort) {
  for (const head of table.querySelectorAll("th")) {
    const button = make("button", "", head.textContent);
    button.type = "button";
    button.addEventListener("click", () => sort(head.dataset.key));
    head.replaceChildren(button);
  }
}

function measureRows() {
  rowHeight = body.querySelector("tr:not(.spacer)")?.getBoundingClientRect().height || rowHeight;
}
