"""The file-access record: one for each open-to-close of a file on a server.

`FileRecord` is the one declaration of its fields, used for writing (the plain path; `collector.records.template` is the
fast path and must give the same result) and for reading.
"""

from __future__ import annotations

import msgspec

SCHEMA = 1
"""The value of ``schema`` in every record; incremented when a field changes its meaning."""


class FileRecord(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """One file access. Everything except the ids may be absent (None): not known. Times are whole Unix seconds of the
    server's clock, sizes and counters bytes or operations; averages and sigmas are floats per request.
    """

    kind: str
    schema: int
    record_id: str
    """``access_id`` + ``.f`` (final: from a close) or ``.p`` (provisional: given up waiting for one)."""
    access_id: str
    final: bool
    stod: int
    file_id: int
    server_id: str | None = None
    """The server's sid in decimal text (a 48-bit number)."""

    serverID: str | None = None  # noqa: N815 - the peers' name
    server: str | None = None
    server_ip: str | None = None
    server_hostname: str | None = None
    port: int | None = None
    instance: str | None = None
    site: str | None = None
    version: str | None = None

    timestamp: str | None = msgspec.field(name="@timestamp", default=None)
    start_time: int | None = None
    end_time: int | None = None
    operation_time: int | None = None
    time_min: int | None = None
    time_max: int | None = None

    user: str | None = None
    session_tag: str | None = None
    protocol: str | None = None
    host: str | None = None
    user_domain: str | None = None
    ipv6: bool | None = None
    user_dn: str | None = None
    vo: str | None = None
    role: str | None = None
    groups: str | None = None
    token_subject: str | None = None
    token_username: str | None = None
    token_org: str | None = None
    token_role: str | None = None
    token_groups: str | None = None
    experiment: str | None = None
    activity: str | None = None
    appinfo: str | None = None

    filename: str | None = None
    dirname1: str | None = None
    dirname2: str | None = None
    logical_dirname: str | None = None
    filesize: int | None = None

    read: int | None = None
    readv: int | None = None
    write: int | None = None
    read_single_bytes: int | None = None
    read_vector_bytes: int | None = None
    read_bytes_at_close: int | None = None
    write_bytes_at_close: int | None = None
    read_operations: int | None = None
    read_single_operations: int | None = None
    read_vector_operations: int | None = None
    write_operations: int | None = None
    read_min: int | None = None
    read_max: int | None = None
    read_single_min: int | None = None
    read_single_max: int | None = None
    read_vector_min: int | None = None
    read_vector_max: int | None = None
    write_min: int | None = None
    write_max: int | None = None
    read_average: float | None = None
    read_single_average: float | None = None
    read_vector_average: float | None = None
    write_average: float | None = None
    read_vector_count_min: int | None = None
    read_vector_count_max: int | None = None
    read_vector_count_average: float | None = None
    read_single_sigma: float | None = None
    read_vector_sigma: float | None = None
    read_vector_count_sigma: float | None = None
    write_sigma: float | None = None

    access_type: str | None = None
    forced: int | None = None
    HasFileCloseMsg: int | None = None
    incomplete: list[str] | None = None
    sequence_gap: bool | None = None
    known_issue: list[str] | None = None
    shoveler: str | None = None

    # bytes of text that is not UTF-8, base64
    filename_b64: str | None = None
    dirname1_b64: str | None = None
    dirname2_b64: str | None = None
    logical_dirname_b64: str | None = None
    server_b64: str | None = None
    server_hostname_b64: str | None = None
    instance_b64: str | None = None
    site_b64: str | None = None
    version_b64: str | None = None
    user_b64: str | None = None
    session_tag_b64: str | None = None
    protocol_b64: str | None = None
    host_b64: str | None = None
    user_domain_b64: str | None = None
    user_dn_b64: str | None = None
    vo_b64: str | None = None
    role_b64: str | None = None
    groups_b64: str | None = None
    token_subject_b64: str | None = None
    token_username_b64: str | None = None
    token_org_b64: str | None = None
    token_role_b64: str | None = None
    token_groups_b64: str | None = None
    experiment_b64: str | None = None
    activity_b64: str | None = None
    appinfo_b64: str | None = None
