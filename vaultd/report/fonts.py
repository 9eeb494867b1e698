"""Whether the fonts of this machine can show a text: asked of fontconfig, which the layout program asks too."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

from vaultd.i18n import _
from vaultd.report.page import MissingPartError

_LIBRARY = "libfontconfig.so.1"
_HAN = range(0x2E80, 0xA000)


class _FontSet(ctypes.Structure):
    _fields_ = (("count", ctypes.c_int), ("room", ctypes.c_int), ("fonts", ctypes.POINTER(ctypes.c_void_p)))


def check(text: str) -> str:
    """The characters of a text that no font here has, each once, in order.

    Raises MissingPartError when Chinese ones are among them, or fontconfig is not there.
    """
    wanted = {one for one in text if one.isprintable() and not one.isspace()}
    with _charsets() as (library, sets):
        lacking = sorted(
            one for one in wanted if not any(library.FcCharSetHasChar(charset, ord(one)) for charset in sets)
        )
    if chinese := [one for one in lacking if ord(one) in _HAN]:
        raise MissingPartError(
            _("there is no PDF"),
            _("no font here has the Chinese characters {characters}").format(characters="".join(chinese[:8])),
            _("install one: apt-get install fonts-wqy-microhei; HTML needs none: --html FILE"),
        )  # fmt: skip
    return "".join(lacking)


@contextmanager
def _charsets() -> Iterator[tuple[ctypes.CDLL, list[int]]]:
    """fontconfig, and the set of characters of each font, which are its own until this ends."""
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise MissingPartError(
            _("there is no PDF"), _("the library {name} is not here").format(name=_LIBRARY),
            _("install it: apt-get install libpangoft2-1.0-0 fonts-wqy-microhei"),
        ) from error  # fmt: skip
    library.FcPatternCreate.restype = ctypes.c_void_p
    library.FcObjectSetCreate.restype = ctypes.c_void_p
    library.FcObjectSetAdd.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
    library.FcFontList.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    library.FcFontList.restype = ctypes.POINTER(_FontSet)
    library.FcPatternGetCharSet.argtypes = (
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(ctypes.c_void_p),
    )  # fmt: skip
    library.FcCharSetHasChar.argtypes = (ctypes.c_void_p, ctypes.c_uint)
    for destroy in (library.FcPatternDestroy, library.FcObjectSetDestroy, library.FcFontSetDestroy):
        destroy.argtypes = (ctypes.c_void_p,)
        destroy.restype = None
    pattern, objects = library.FcPatternCreate(), library.FcObjectSetCreate()
    library.FcObjectSetAdd(objects, b"charset")
    listed = library.FcFontList(None, pattern, objects)
    try:
        found = list[int]()
        for at in range(listed.contents.count):
            charset = ctypes.c_void_p()
            if library.FcPatternGetCharSet(listed.contents.fonts[at], b"charset", 0, ctypes.byref(charset)) == 0:
                found.append(charset.value or 0)
        yield library, found
    finally:
        library.FcFontSetDestroy(listed)
        library.FcObjectSetDestroy(objects)
        library.FcPatternDestroy(pattern)
