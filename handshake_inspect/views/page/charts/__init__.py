"""What the report page draws beside its table and its ladders: SVG made here, which needs no script and prints.

Text keeps its size at every width: an outer <svg> without a viewBox places it by percent, and only curves are
stretched. Colours are the palette's custom properties. In the order in which data flows:

- `drawn`: elements of HTML and SVG, with every text and attribute escaped.
- `scales`: where ticks stand, and what stands at them: moments, counts, durations.
- `over_time`: one panel: how many at once, over time, with a limit as a line.
- `half_open`, `time_wait`: such panels for listeners and for hosts.
- `openings`: how long handshakes took, by server.
- `lanes`: single connections, if they are few, where no script runs.
- `packed`: the phases of many connections in few octets, for the page's script.
- `timeline`: all connections by phase, over time; the files `timeline*.js` make it zoom.
- `sections`: all of it, in the order of the page.
"""
