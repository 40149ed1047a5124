"""Records of the batches that were bought, in a label store."""

from __future__ import annotations

from skllkd.teachers.metered.store_files import StoreFile


def batch_of(store: StoreFile, fingerprint: str, content: str) -> str | None:
    """Name the batch that was bought with a file of requests, None for none."""
    query = "SELECT batch FROM batches WHERE fingerprint = ? AND content = ?"
    rows = store._rows(query, fingerprint, content)
    return str(rows[0][0]) if rows else None


def note_batch(store: StoreFile, fingerprint: str, content: str, batch: str) -> None:
    """Note that a batch was bought with a file of requests."""
    row = [fingerprint, content, batch]
    with store._writing() as connection:
        connection.execute("INSERT OR REPLACE INTO batches VALUES (?, ?, ?, NULL)", row)


def outcome_of(store: StoreFile, fingerprint: str, batch: str) -> str | None:
    """Return the outcome of a batch whose answers are stored, None before."""
    query = "SELECT outcome FROM batches WHERE fingerprint = ? AND batch = ?"
    rows = store._rows(query, fingerprint, batch)
    return rows[0][0] if rows else None


def note_outcome(store: StoreFile, fingerprint: str, batch: str, outcome: str) -> None:
    """Note that the answers of a batch are stored."""
    with store._writing() as connection:
        connection.execute(
            "INSERT OR IGNORE INTO batches VALUES (?, ?, ?, NULL)",
            [fingerprint, batch, batch],
        )
        connection.execute(
            "UPDATE batches SET outcome = ? WHERE fingerprint = ? AND batch = ?",
            [outcome, fingerprint, batch],
        )
