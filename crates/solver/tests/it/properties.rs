//! Any graph, any order of events: every vertex at most once, results as of one after the other.
