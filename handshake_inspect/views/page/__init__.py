"""The report page: one HTML file that shows what was found; its charts are in `charts`."""
