"""A ladder as a picture: for a page, for a document, for a forge's README. Each is laid out from `views.rungs`.

- `markup`: text from anywhere into HTML and SVG, and styled sentences into spans.
- `words`: what every picture says in the same words.
- `html`: a fragment for a page, and a page of one ladder.
"""
