"""Which directory each kernel watch stands for.

The kernel watches inodes and names a watch by a number only; the paths are ours to keep. Each directory knows its own
name and its parent, so that a rename of a tree of 10,000 directories moves one node and every path below follows.
"""

from __future__ import annotations

from collections.abc import Iterator


class Node:
    """A watched directory. ``parent`` is None for the root, and for one that was moved out of the tree."""

    __slots__ = ("children", "name", "parent", "watch")

    def __init__(self, watch: int, name: bytes) -> None:
        self.watch = watch
        self.name = name
        self.parent: Node | None = None
        self.children: dict[bytes, Node] | None = None  # most directories are leaves: no dict for those

    def below(self) -> Iterator[Node]:
        """The directory and all directories below it."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            if node.children:
                stack.extend(node.children.values())


class WatchTree:
    """The watched directories of one vault, by kernel watch and by place."""

    def __init__(self) -> None:
        self.root: Node | None = None
        self._nodes: dict[int, Node] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def get(self, watch: int) -> Node | None:
        """The directory of a kernel watch."""
        return self._nodes.get(watch)

    def set_root(self, watch: int) -> Node:
        """The vault's folder itself."""
        self.root = self._nodes[watch] = Node(watch, b"")
        return self.root

    def place(self, watch: int, parent: Node, name: bytes) -> Node:
        """A watch was seen at this place: new there, moved there from anywhere, or there already."""
        node = self._nodes.get(watch)
        if node is None:
            node = self._nodes[watch] = Node(watch, name)
        elif node.parent is parent and node.name == name:
            return node
        elif node is self.root or any(above is node for above in _upwards(parent)):
            return node  # a bind mount of a directory inside itself: keep the place it has
        self._detach(node)
        if parent.children is None:
            parent.children = {}
        elif (other := parent.children.get(name)) is not None:
            other.parent = None  # what was there is gone or has moved; its own event will say where
        node.name, node.parent = name, parent
        parent.children[name] = node
        return node

    def child(self, parent: Node, name: bytes) -> Node | None:
        """The watched directory of that name."""
        return None if parent.children is None else parent.children.get(name)

    def take_out(self, node: Node) -> None:
        """The directory left its place: it and what is below have no path until it is placed again."""
        self._detach(node)

    def forget(self, watch: int) -> None:
        """The kernel has dropped the watch. Directories below lose their path: theirs are being dropped too."""
        node = self._nodes.pop(watch, None)
        if node is None:
            return
        self._detach(node)
        for child in (node.children or {}).values():
            child.parent = None
        node.children = None
        if node is self.root:
            self.root = None

    def path(self, node: Node) -> bytes | None:
        """The path below the root, b"" for the root itself, None when the directory is not in the tree."""
        names: list[bytes] = []
        step: Node | None = node
        while step is not None:
            if step is self.root:
                names.reverse()
                return b"/".join(names)
            names.append(step.name)
            step = step.parent
        return None

    @staticmethod
    def _detach(node: Node) -> None:
        parent, node.parent = node.parent, None
        if parent is not None and parent.children is not None and parent.children.get(node.name) is node:
            del parent.children[node.name]
            if not parent.children:
                parent.children = None


def _upwards(node: Node) -> Iterator[Node]:
    step: Node | None = node
    while step is not None:
        yield step
        step = step.parent
