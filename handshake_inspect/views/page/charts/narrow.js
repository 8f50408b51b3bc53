// The name of a host, a listener or a server filters the table to its connections, and shows it.
for (const button of document.querySelectorAll("[data-narrow]")) {
  button.addEventListener("click", () => {
    document.dispatchEvent(new CustomEvent("narrow", { detail: { query: button.dataset.narrow } }));
    document.getElementById("connections")?.scrollIntoView();
  });
}
