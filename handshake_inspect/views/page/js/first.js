"use strict";
// Scripts run: what is only for readers without them is not shown. The colours that the reader chose stand before
// anything is drawn.
document.documentElement.classList.add("live");
try {
  const theme = localStorage.getItem("handshake-inspect-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // no storage for this page: the system's colours
}
