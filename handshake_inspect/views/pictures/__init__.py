"""A ladder as a picture: for a page, for a document, for a forge's README. Each is laid out from `views.rungs`.

- `markup`: text from anywhere into HTML and SVG, and styled sentences into spans.
- `words`: words that every picture uses.
- `measured`: lines of text that fit, though the font is not known.
- `svg_layout`: the columns and lanes of an SVG file.
- `svg_styles`: colours and patterns of an SVG file.
- `svg`: one file, which needs nothing but itself.
- `mermaid`: a sequence diagram as text.
- `html`: a fragment for a page, and a page of one ladder.
"""
