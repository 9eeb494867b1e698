"""Paths of watches, whatever moves."""

from __future__ import annotations

from vaultd.watch.tree import WatchTree


def test_paths_follow_a_moved_directory() -> None:
    tree = WatchTree()
    root = tree.set_root(1)
    a = tree.place(2, root, b"a")
    b = tree.place(3, a, b"b")
    assert (tree.path(root), tree.path(a), tree.path(b)) == (b"", b"a", b"a/b")
    tree.take_out(a)
    assert tree.path(b) is None
    assert tree.place(2, root, b"c") is a
    assert tree.path(b) == b"c/b"
    assert tree.child(root, b"a") is None


def test_a_watch_placed_where_another_was_takes_its_place() -> None:
    tree = WatchTree()
    root = tree.set_root(1)
    old = tree.place(2, root, b"a")
    new = tree.place(3, root, b"a")
    assert tree.path(old) is None
    assert tree.path(new) == b"a"
    tree.forget(2)  # the old one's end comes late and must not disturb the new one
    assert tree.child(root, b"a") is new
    assert len(tree) == 2


def test_a_forgotten_directory_leaves_those_below_without_a_path() -> None:
    tree = WatchTree()
    root = tree.set_root(1)
    a = tree.place(2, root, b"a")
    b = tree.place(3, a, b"b")
    tree.forget(2)
    assert tree.path(b) is None
    assert tree.get(2) is None
    tree.place(3, root, b"b")
    assert tree.path(b) == b"b"


def test_a_directory_is_never_placed_inside_itself() -> None:
    """A bind mount of a directory inside itself answers with a watch that is one of its own parents."""
    tree = WatchTree()
    root = tree.set_root(1)
    a = tree.place(2, root, b"a")
    b = tree.place(3, a, b"b")
    assert tree.place(2, b, b"again") is a
    assert tree.place(1, b, b"root") is root
    assert tree.path(b) == b"a/b"


def test_without_a_root_nothing_has_a_path() -> None:
    tree = WatchTree()
    root = tree.set_root(1)
    a = tree.place(2, root, b"a")
    tree.forget(1)
    assert tree.root is None
    assert tree.path(a) is None
