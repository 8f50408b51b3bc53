"""The report page: one HTML file that shows what was found, usable from a file:// address, without any network.

Data flows down this list:

- `embedded`: data in HTML; hashes for the page's own style and script.
- `captured`: the captures, as facts and lists.
- `glance`: kinds and findings, counted.
- `columns`: the table of connections in columns, for the page's script; its first rows in words.
- `charts`: all connections over time, half-open ones and TIME-WAITs of hosts, handshake times of servers.
- `packing`: markup of many ladders -> shapes and numbers, packed.
- `ladders`: a ladder for each connection, packed.
- `parts`: the style and script files of the page, each admitted by its hash.
- `document`: all of this -> the page.

What the page looks like stands in `templates`, `css` and `js`.
"""
