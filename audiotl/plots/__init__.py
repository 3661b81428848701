"""Every figure of the study: one function each, data frames in, a matplotlib ``Figure`` out, nothing computed."""
