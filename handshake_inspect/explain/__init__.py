"""Explanations for learners, in short exact words, with real ladders that the engine draws on demand.

Data flows down this list:

- `page`: a `Page` from any source, and the blocks that it consists of.
- `reading`: the text of a page file -> `Page`.
- `topics`: pages by all their names; the nearest names to an unknown one.
- `rules`, `counterparts`: pages from the docstrings of the rules of findings, and from the table of other tools' names.
- `collected`: the topics of all sources together: these pages, and the files in `pages/`.
- `shipped`: the recorded captures that come with the package.
- `excerpts`: part of such a capture, or of a recorded session -> ladder.
- `moves`: the table of states -> its transitions, and the rows of one state.
- `arrows`, `drawing`: the whole table -> the state diagram; the routes of its lines, and the places of boxes and words.
- `rendering`: `Page` -> lines.
- `listing`: all pages -> a list by kind.
"""
