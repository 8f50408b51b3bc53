"""Explanations: what a learner asks, in short exact words, with a real ladder drawn by the engine at that moment.

Data flows down this list:

- `page`: a `Page`, whatever it comes from, and the blocks that it is made of.
- `reading`: the text of a page file -> `Page`.
- `topics`: pages by all their names; the nearest ones of a name that is none.
- `rules`, `counterparts`: pages of the docstrings of rules that make findings, and of the table of other tools' names.
- `collected`: these, and the files in `pages/`: the topics of all sources together.
- `shipped`: the recorded captures that come with the package.
- `excerpts`: part of such a capture, or of a recorded session -> ladder.
- `moves`: the table of states -> its arrows, and the rows of one state.
- `arrows`, `drawing`: the whole table -> the state diagram; where its lines run, and what stands where.
- `rendering`: `Page` -> lines.
- `listing`: all pages -> a list by kind.
"""
