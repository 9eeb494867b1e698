"""A damaged repository is mended from another target or from the live folder.

``mend`` is the course of it; ``sources`` brings content from elsewhere; what became of it is in ``result``.
"""
