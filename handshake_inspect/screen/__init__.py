"""The screen: the connections of a capture, live or from files, on a terminal; one of them with its ladder.

In: a `Source`. Out: nothing but what the person at the terminal asks for: files that are saved, text that is copied.
One thread owns the inspector, of files or of a live capture, and answers what the screen asks through a
`QuestionQueue`; the screen owns its widgets, and reads `ListSnapshot`s, which nobody changes any more. So a slow
terminal keeps no frame waiting. Nothing of a capture is ever markup: all text is made of styled pieces, escaped by
`views.escape`.

Data flows down this list:

- `desk`: questions for the thread that owns the inspector, and their answers.
- `sight`: what is to be seen at one moment, and who tells more (`Source`).
- `recent`: the last frames of a live capture, to be saved, and for the payload in ladders.
- `live`: a live capture as a source.
- `files`: captures that were read as a source.
- `arranging`: which connections, in which order: filter, search and sort, on columns.
- `colours`: the palette as styles of a terminal, light, dark or without colour.
- `terminal`: what the terminal can do, and what is drawn on.
- `columns`: a connection -> the cells of its line.
- `listing`: the widget with a line for each connection: only those in view are made.
- `reading`: the widget in which a ladder or an explanation is read.
- `lines`: the line above all, and the line of keys and numbers below.
- `captions`: what stands in those lines, and above the text.
- `asking`: the line in which something is typed.
- `rates`: how much comes in a second.
- `topics`: help, and what `explain` says of findings, as text.
- `telling`: what is read of the connection that is chosen.
- `list_and_text`: the screen without its keys.
- `app`: the screen: what its keys do.
- `picture`: a picture of the screen, for documents.
"""
