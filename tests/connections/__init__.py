"""Tests of the engine: from segments to connections and what happened to them."""
