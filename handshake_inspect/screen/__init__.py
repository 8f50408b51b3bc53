"""The screen: the connections of a capture, live or from files, on a terminal; one of them with its ladder.

In: a `Source`. Out: files that are saved, and text that is copied, when the person at the terminal asks for them. One
thread owns the inspector, of files or of a live capture, and answers the screen's questions through a `QuestionQueue`.
The screen owns its widgets, and reads `ListSnapshot`s, which never change. So a slow terminal never delays the capture.
Text from a capture is never parsed as markup: all text is made of styled pieces, escaped by `views.escape`.

Data flows down this list:

- `desk`: questions for the thread that owns the inspector, and their answers.
- `sight`: what the screen shows at one moment (`ListSnapshot`), and where more comes from (`Source`).
- `recent`: the last frames of a live capture, for saving and for the payload in ladders.
- `live`: a live capture as a source.
- `files`: captures from files as a source.
- `arranging`: which connections, in which order: filter, search and sort, on columns.
- `colours`: the palette as styles of a terminal, light, dark or without colour.
- `terminal`: what the terminal can do, and the driver that draws on it.
- `columns`: a connection -> the cells of its line.
- `listing`: the widget with a line for each connection: only those in view are made.
- `reading`: the widget in which a ladder or an explanation is read.
- `lines`: the widget of the first and of the last line.
- `captions`: the text of those lines, and of the heading above a ladder.
- `asking`: the line in which something is typed.
- `rates`: segments per second.
- `topics`: help, and the explanations of findings.
- `telling`: the ladder or explanation of the chosen connection, kept up to date.
- `list_and_text`: the screen without its keys.
- `app`: the screen: what its keys do.
- `picture`: a picture of the screen, for documents.
"""
