// The address of the page says what it shows: #s=12 is connection 12, &q= the filter, &sort= the column sorted by.

function addressOf({ stream, query, sort, descending }) {
  const parts = new URLSearchParams();
  if (stream !== null) parts.set("s", stream);
  if (query) parts.set("q", query);
  if (sort !== "stream" || descending) parts.set("sort", (descending ? "-" : "") + sort);
  return `#${parts}`;
}

/** What an address asks for; what it does not say is as the page begins. */
function askedBy(address) {
  const parts = new URLSearchParams(address.replace(/^#/, ""));
  const sort = (parts.get("sort") ?? "stream").replace(/^-/, "");
  const stream = Number(parts.get("s") ?? NaN);
  return {
    stream: rowOf.has(stream) ? stream : null,
    absent: rowOf.has(stream) ? null : parts.get("s"),
    query: parts.get("q") ?? "",
    sort: Object.hasOwn(SORT_KEYS, sort) ? sort : "stream",
    descending: (parts.get("sort") ?? "").startsWith("-"),
  };
}
