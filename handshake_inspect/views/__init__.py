"""What was found, as text, JSON or a table. Views map and lay out; they compute nothing about TCP."""
