"""A bundle: one run in a zip file, with all that it takes to judge it again on another machine.

    export_bundle(store, run_id, path, signer)            # any stored run; signed when there is a signer
    seal = check_bundle(path)                             # nothing is stored; who made it, and whether it was changed
    imported = import_bundle(store, path, now, signers)   # a run of its own, scored again from requests and records

    manifest.json      format and schema number, who made it, lines, bytes and SHA-256 of each other part
    signature.json     the maker's public key, and its signature of manifest.json; not there when nobody signed
    run.json           run, plan, tests, repeats, servers, agents, scorings, notes, markers, status messages
    requests.ndjson    one JSON array for each request, as its client reported it
    records.ndjson     the records of the run's tags, as they came
    verdicts.ndjson    one JSON array for each verdict that is not plainly matched
    samples.ndjson     one JSON array for each second and server

A bundle comes from anybody. It is never unpacked to disk, and it is read twice: first as a whole, when every line is
decoded into a declared type with bounds and compared with the others, and only then into the database, in slices that
nobody sees before the last one. Its figures are not believed: they are worked out anew, and what differs is said.

- `format`: the parts as types, and all limits. `archive`: a zip file of a stranger as streams.
- `verify`: that the parts agree with themselves and each other. `seal`: who made it, whether it was changed.
- `writer`: out of a store. `reader`: into a store. `rescore`: the figures again, and what differs.
"""

from gui.report.bundle.format import BundleError
from gui.report.bundle.reader import Imported, check_bundle, import_bundle
from gui.report.bundle.seal import seal_sentence
from gui.report.bundle.writer import export_bundle

__all__ = ["BundleError", "Imported", "check_bundle", "export_bundle", "import_bundle", "seal_sentence"]
