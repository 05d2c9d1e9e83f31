"""The stitcher: joins a recording's chunks into one file, probes what was uploaded, and erases what was deleted."""
