"""Read back what a target stores, and compare every file's SHA-256 with the ledger.

``reader`` hashes what restic streams (a process of its own), ``stream`` runs both and hands over what they read;
``rows`` is what should be there, in a database on disk (``work``), filled by ``expect`` from the ledger; ``plan``
decides what is read in which pieces, ``sample`` which files; ``careful`` goes on where a stream broke, file by file.
Many small files are read otherwise: ``bulk`` has their packs fetched (``fetch``) and opened (``openers``).
``judge`` says what a difference is, ``good`` which version is still whole. ``run`` verifies one vault at one target,
``result`` is what was found, ``kept`` what the state keeps of it; ``portion`` is the daemon's daily share, in a process
of its own, in which ``packs`` reads back all that is stored there, and ``coverage`` counts what was read.
"""
