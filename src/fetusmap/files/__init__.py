"""Files as such: names, checks before reading, atomic writes, strict JSON, CSV tables."""

from fetusmap.files.documents import (
    MAX_JSON_BYTES,
    MAX_TABLE_BYTES,
    Document,
    Number,
    Position,
    Version1,
    decode_json,
    parse_document,
    read_json,
    refuse_newer,
)
from fetusmap.files.names import (
    LIBRARY_SUFFIXES,
    POSE_SUFFIXES,
    VOLUME_SUFFIXES,
    case_name,
    format_suffix,
    is_plain_name,
    safe_name,
    suffix_of,
)
from fetusmap.files.reading import (
    check_regular_file,
    is_link,
    read_head,
    sha256_of,
    visible_files,
)
from fetusmap.files.tables import read_rows, write_rows
from fetusmap.files.writing import atomic_path, write_bytes, write_text

__all__ = [
    "LIBRARY_SUFFIXES",
    "MAX_JSON_BYTES",
    "MAX_TABLE_BYTES",
    "POSE_SUFFIXES",
    "VOLUME_SUFFIXES",
    "Document",
    "Number",
    "Position",
    "Version1",
    "atomic_path",
    "case_name",
    "check_regular_file",
    "decode_json",
    "format_suffix",
    "is_link",
    "is_plain_name",
    "parse_document",
    "read_head",
    "read_json",
    "read_rows",
    "refuse_newer",
    "safe_name",
    "sha256_of",
    "suffix_of",
    "visible_files",
    "write_bytes",
    "write_rows",
    "write_text",
]
