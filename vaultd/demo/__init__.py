"""The demo: the main job on an embedded default, with an off-site server of its own."""
