"""The label store: every answer a teacher gave, on disk, so none is bought twice."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from skllkd._core.arrays import FloatArray
from skllkd.exceptions import StalledClaimWarning, StoreError
from skllkd.teachers.metered.store_files import StoreFile, answer_checksum
from skllkd.teachers.metered.usage import Answer, StoredAnswers, Usage

_INSERT_REFUSAL = "INSERT OR IGNORE INTO refusals VALUES (?, ?, ?, ?)"
_INSERT = "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?)"
_KEYS_PER_QUERY = 500
_SILENT_WAIT_S = 2.0
#: How long the process that asks may store nothing before another stops waiting for it.
_CLAIM_S = 600.0
_POLL_S = 5.0


def text_key(text: str) -> bytes:
    """Return the key a text is stored under: a digest, so that no text is kept.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    bytes
        16 bytes of BLAKE2b.
    """
    return hashlib.blake2b(
        text.encode("utf-8", "surrogatepass"), digest_size=16
    ).digest()


class LabelStore(StoreFile):
    """Answers on disk, by what determines them: a specification and a text.

    The store is one SQLite file in write-ahead mode. Answers are committed as they
    come, so what was answered before a process died is there for the next one. Texts
    are kept as digests, answers as raw log-probabilities.

    Parameters
    ----------
    path : str or Path, optional
        The file; `labels.sqlite` in the folder `SKLLKD_CACHE` names, or in the
        user's cache folder, by default. Created when missing.

    Raises
    ------
    StoreError
        If the file is no label store, is of a later version, or cannot be opened.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> from skllkd.teachers import LabelStore
    >>> folder = tempfile.TemporaryDirectory()
    >>> with LabelStore(pathlib.Path(folder.name) / "labels.sqlite") as store:
    ...     store.put("my teacher", ["a text"], np.log([[0.9, 0.1]]), np.array([1.0]))
    ...     sorted(store.get("my teacher", ["a text", "another"]))
    ['a text']
    >>> folder.cleanup()
    """

    def get(self, specification: str, texts: Iterable[str]) -> dict[str, Answer]:
        """Return the stored answers for some texts.

        Parameters
        ----------
        specification : str
            What determines the answers beside the text.
        texts : iterable of str
            The texts.

        Returns
        -------
        dict
            An `Answer` for each text that has one.
        """
        text_of = {text_key(text): text for text in texts}
        keys = list(text_of)
        found: dict[str, Answer] = {}
        try:
            for start in range(0, len(keys), _KEYS_PER_QUERY):
                some = keys[start : start + _KEYS_PER_QUERY]
                places = ",".join("?" * len(some))
                rows = self._connection.execute(
                    "SELECT text, log_prob, label_mass, checksum FROM answers WHERE "
                    f"specification = ? AND text IN ({places})",
                    [specification, *some],
                )
                for key, log_prob, label_mass, checksum in rows:
                    if checksum != answer_checksum(key, log_prob):
                        raise sqlite3.DatabaseError(
                            f"the answer {key.hex()} is damaged"
                        )
                    values = np.frombuffer(log_prob, dtype="<f8")
                    mass = float("nan") if label_mass is None else label_mass
                    found[text_of[key]] = Answer(values, mass)
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        return found

    def put(
        self,
        specification: str,
        texts: Sequence[str],
        log_prob: FloatArray,
        label_mass: FloatArray,
    ) -> None:
        """Store answers and commit. The first answer stored for a text stays.

        Parameters
        ----------
        specification : str
            What determines the answers beside the text.
        texts : sequence of str
            The texts.
        log_prob : ndarray of shape (n_texts, n_classes)
            Raw log-probabilities in nats.
        label_mass : ndarray of shape (n_texts,)
            The probability on any label, NaN where unknown.
        """
        keys = [text_key(text) for text in texts]
        self.put_keys(specification, keys, log_prob, label_mass)

    def put_keys(
        self,
        specification: str,
        keys: Sequence[bytes],
        log_prob: Any,
        label_mass: Any,
    ) -> None:
        """Store answers for texts known by their digests alone.

        Parameters
        ----------
        specification : str
            What determines the answers beside the text.
        keys : sequence of bytes
            The digests of the texts.
        log_prob : sequence of array-like
            Raw log-probabilities in nats, a row a text.
        label_mass : sequence of float or None
            The probability on any label, NaN or None where unknown.
        """
        rows = [
            _row(specification, key, values, mass)
            for key, values, mass in zip(keys, log_prob, label_mass, strict=True)
        ]
        with self._writing() as connection:
            connection.executemany(_INSERT, rows)

    def refused(self, specification: str, texts: Iterable[str]) -> dict[str, str]:
        """Return why the model gave no usable answer, for the texts it gave none for.

        Parameters
        ----------
        specification : str
            What determines the answers beside the text.
        texts : iterable of str
            The texts.

        Returns
        -------
        dict
            A reason for each text that has one.
        """
        rows = self._rows(
            "SELECT text, reason FROM refusals WHERE specification = ?", specification
        )
        if not rows:
            return {}
        reason_of = dict(rows)
        keys = ((text, text_key(text)) for text in texts)
        return {text: reason_of[key] for text, key in keys if key in reason_of}

    def refuse(self, specification: str, reasons: Mapping[str, str]) -> None:
        """Store that the model has no usable answer for some texts.

        It was asked and paid, and would say the same again, so it is not asked again
        until `prune(refused_only=True)`. Failures on the way to the model are nothing
        of the kind, and are not stored.

        Parameters
        ----------
        specification : str
            What determines the answers beside the text.
        reasons : mapping of str to str
            A reason for each text.
        """
        self.refuse_keys(
            specification, {text_key(text): why for text, why in reasons.items()}
        )

    def refuse_keys(self, specification: str, reasons: Mapping[bytes, str]) -> None:
        """Store refusals for texts known by their digests alone.

        Parameters
        ----------
        specification : str
            What determines the answers beside the text.
        reasons : mapping of bytes to str
            A reason for each digest.
        """
        now = int(time.time())
        with self._writing() as connection:
            connection.executemany(
                _INSERT_REFUSAL,
                [(specification, key, why, now) for key, why in reasons.items()],
            )

    def usage(self, specification: str) -> Usage:
        """Return what the answers of a specification have taken so far.

        Parameters
        ----------
        specification : str
            What determines the answers beside the text.

        Returns
        -------
        Usage
            Over all processes and runs that used this file.
        """
        rows = self._rows(
            "SELECT n_calls, input_tokens, output_tokens, seconds FROM specifications "
            "WHERE specification = ?",
            specification,
        )
        return Usage(*rows[0]) if rows else Usage()

    def spend(
        self,
        specification: str,
        usage: Usage,
        description: dict[str, Any] | None = None,
    ) -> None:
        """Add to what the answers of a specification have taken.

        Parameters
        ----------
        specification : str
            What determines the answers beside the text.
        usage : Usage
            What is added.
        description : dict, optional
            What the specification stands for, as JSON values, for `contents`.
        """
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO specifications VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET n_calls = n_calls + excluded.n_calls, "
                "input_tokens = input_tokens + excluded.input_tokens, "
                "output_tokens = output_tokens + excluded.output_tokens, "
                "seconds = seconds + excluded.seconds",
                [specification, json.dumps(description or {}), *usage],
            )

    def fact(self, name: str) -> str | None:
        """Return what was found out once and remembered.

        Parameters
        ----------
        name : str
            What it is about.

        Returns
        -------
        str or None
            The value, None if there is none.
        """
        rows = self._rows("SELECT value FROM facts WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    def remember(self, name: str, value: str) -> None:
        """Remember what was found out, for later processes.

        Parameters
        ----------
        name : str
            What it is about.
        value : str
            What was found out. It replaces an earlier value.
        """
        with self._writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO facts VALUES (?, ?)", [name, value]
            )

    def file_digest(self, path: Path) -> str:
        """Return the SHA-256 of a file, remembered until the file changes.

        Parameters
        ----------
        path : Path
            The file.

        Returns
        -------
        str
            The digest in hexadecimal.
        """
        stat = path.stat()
        name = f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}"
        key = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
        digest = self.fact(f"sha256 of {key}")
        if digest is None:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            self.remember(f"sha256 of {key}", digest)
        return digest

    @contextmanager
    def asking(self, specification: str, verbose: int = 0) -> Iterator[None]:
        """Hold the right to ask for a specification's answers, among all processes.

        The right is a lock of the operating system on a file beside the store, which
        ends with the process that holds it. One that holds it and stores nothing for
        ten minutes is waited for no longer.

        Parameters
        ----------
        specification : str
            What determines the answers beside the text.
        verbose : int, default=0
            Whether to say so when another process holds it.

        Yields
        ------
        None
            While the right is held.

        Warns
        -----
        StalledClaimWarning
            If the process that holds it makes no progress.
        """
        from filelock import FileLock, Timeout

        name = f"{self.path.name}.{specification[:16]}.lock"
        lock = FileLock(self.path.with_name(name))
        wait_s, progress, since = _SILENT_WAIT_S, self.usage(specification), 0.0
        while not lock.is_locked:
            try:
                lock.acquire(timeout=wait_s)
            except Timeout:
                if verbose and wait_s == _SILENT_WAIT_S:
                    print(
                        "waiting for another process that asks the same",
                        file=sys.stderr,
                    )
                since, before, progress = (
                    since + wait_s,
                    progress,
                    self.usage(specification),
                )
                wait_s = _POLL_S
                if before != progress:
                    since = 0.0
                elif since > _CLAIM_S:
                    warnings.warn(
                        "another process that asks the same has stored no answer for "
                        f"{since / 60:.0f} minutes. This one goes ahead without it.",
                        StalledClaimWarning,
                        stacklevel=2,
                    )
                    break
        try:
            yield
        finally:
            lock.release()

    def contents(self) -> list[StoredAnswers]:
        """Return what the store holds, by specification.

        Returns
        -------
        list of StoredAnswers
            The most answers first.
        """
        keys = self._rows(
            "SELECT specification FROM answers UNION SELECT specification FROM refusals "
            "UNION SELECT specification FROM specifications"
        )
        entries = [self._entry(key) for (key,) in keys]
        return sorted(entries, key=lambda entry: -entry.n_answers)

    def _entry(self, specification: str) -> StoredAnswers:
        """Return what the store holds under a specification."""
        (n_answers, last), *_ = self._rows(
            "SELECT count(*), max(answered_at) FROM answers WHERE specification = ?",
            specification,
        )
        (n_refusals,), *_ = self._rows(
            "SELECT count(*) FROM refusals WHERE specification = ?", specification
        )
        described = self._rows(
            "SELECT description FROM specifications WHERE specification = ?",
            specification,
        )
        return StoredAnswers(
            specification,
            json.loads(described[0][0]) if described else {},
            n_answers,
            n_refusals,
            self.usage(specification),
            float("nan") if last is None else float(last),
        )

    def export(
        self, path: str | os.PathLike[str], specification: str | None = None
    ) -> int:
        """Write answers to a JSON Lines file, which `merge` reads.

        Each line holds the specification, the text's digest in hexadecimal, the raw
        log-probabilities and the label mass. No text is in it, so it can be published
        beside a benchmark whose texts others have.

        Parameters
        ----------
        path : str or Path
            The file. It is replaced when all is written.
        specification : str, optional
            Which answers; all of them by default.

        Returns
        -------
        int
            How many answers were written.
        """
        wanted = [
            entry
            for entry in self.contents()
            if specification in (None, entry.specification)
        ]
        target = Path(path)
        partial = target.with_name(target.name + ".partial")
        n_written = 0
        with partial.open("w", encoding="utf-8") as file:
            for entry in wanted:
                head = {"specification": entry.specification, **entry.usage._asdict()}
                file.write(
                    json.dumps({**head, "description": entry.description}) + "\n"
                )
                for key, values, mass in self._answers(entry.specification):
                    line = {"text": key.hex(), "log_prob": values, "label_mass": mass}
                    file.write(json.dumps(line) + "\n")
                    n_written += 1
                for key, reason in self._rows(
                    "SELECT text, reason FROM refusals WHERE specification = ?",
                    entry.specification,
                ):
                    file.write(
                        json.dumps({"text": key.hex(), "refusal": reason}) + "\n"
                    )
        partial.replace(target)
        return n_written

    def _answers(
        self, specification: str
    ) -> Iterator[tuple[bytes, list[float], float | None]]:
        """Yield the answers of a specification: digest, log-probabilities, mass."""
        try:
            rows = self._connection.execute(
                "SELECT text, log_prob, label_mass, checksum FROM answers "
                "WHERE specification = ? ORDER BY text",
                [specification],
            )
            for key, blob, mass, checksum in rows:
                if checksum != answer_checksum(key, blob):
                    raise sqlite3.DatabaseError(f"the answer {key.hex()} is damaged")
                yield key, np.frombuffer(blob, dtype="<f8").tolist(), mass
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def merge(self, path: str | os.PathLike[str]) -> int:
        """Take in the answers of another store, or of an exported file.

        Parameters
        ----------
        path : str or Path
            A label store, or a JSON Lines file of `export`. An answer that is here
            already stays.

        Returns
        -------
        int
            How many answers are new.

        Raises
        ------
        StoreError
            If the file is neither, or damaged. Nothing of it is taken in then.
        """
        source = Path(path)
        if not source.is_file():
            raise StoreError(
                f"there is no file {str(source)!r} to merge. Give the path of a label "
                "store, or of a file written by `export`."
            )
        with source.open("rb") as file:
            is_store = file.read(15) == b"SQLite format 3"
        if is_store:
            with (
                LabelStore(source) as other,
                tempfile.TemporaryDirectory() as folder,
            ):
                exported = Path(folder) / "answers.jsonl"
                other.export(exported)
                return self._merge_lines(exported, source)
        return self._merge_lines(source, source)

    def _merge_lines(self, exported: Path, source: Path) -> int:
        """Take in the lines of an exported file, all of them or none."""
        before = len(self)
        specification = None
        try:
            with exported.open(encoding="utf-8") as file, self._writing() as connection:
                for line in file:
                    entry = json.loads(line)
                    if "specification" in entry:
                        specification = str(entry["specification"])
                        used = [entry[name] for name in Usage._fields]
                        connection.execute(
                            "INSERT OR IGNORE INTO specifications "
                            "VALUES (?, ?, ?, ?, ?, ?)",
                            [specification, json.dumps(entry["description"]), *used],
                        )
                        continue
                    if specification is None:
                        raise ValueError("the first line names no specification")
                    key = bytes.fromhex(entry["text"])
                    if "refusal" in entry:
                        refused = [specification, key, entry["refusal"], time.time()]
                        connection.execute(_INSERT_REFUSAL, refused)
                        continue
                    row = _row(
                        specification,
                        key,
                        np.asarray(entry["log_prob"], dtype=np.float64),
                        entry["label_mass"],
                    )
                    connection.execute(_INSERT, row)
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{str(source)!r} is no label store and no file written by `export`: "
                f"{error!r}. Nothing of it was taken in."
            ) from error
        return len(self) - before

    def prune(
        self,
        specification: str | None = None,
        *,
        older_than_days: float | None = None,
        refused_only: bool = False,
        weights: bool = False,
    ) -> int:
        """Forget answers, and give their space back.

        Parameters
        ----------
        specification : str, optional
            Which; all of them by default.
        older_than_days : float, optional
            Only those stored longer ago than this.
        refused_only : bool, default=False
            Forget only for which texts the model gave no usable answer, so that it is
            asked about them again.

        weights : bool, default=False
            Forget no answer, but remove the model files that `LlamaCppTeacher` expanded
            into the folder `weights` beside the store. They are made again when needed.

        Returns
        -------
        int
            How many answers were forgotten; with `weights`, how many bytes were freed.
        """
        if weights:
            from skllkd.teachers.llamacpp.weights import prune_expanded

            return prune_expanded(self.path.parent)
        before = time.time() + 1 - 86400 * (older_than_days or 0)
        where = "WHERE ? IN ('', specification) AND {} < ?"
        which = [specification or "", before]
        with self._writing() as connection:
            removed = connection.execute(
                f"DELETE FROM refusals {where.format('refused_at')}", which
            ).rowcount
            if not refused_only:
                removed += connection.execute(
                    f"DELETE FROM answers {where.format('answered_at')}", which
                ).rowcount
                connection.execute(
                    "DELETE FROM specifications WHERE ? IN ('', specification) AND "
                    "specification NOT IN (SELECT specification FROM answers) AND "
                    "specification NOT IN (SELECT specification FROM refusals)",
                    which[:1],
                )
        self._connection.execute("VACUUM")
        return int(removed)

    def __len__(self) -> int:
        """Return the number of answers stored."""
        return int(self._rows("SELECT count(*) FROM answers")[0][0])


def _row(
    specification: str, key: bytes, log_prob: Any, label_mass: Any
) -> tuple[Any, ...]:
    """Return an answer as the file holds it."""
    blob = np.asarray(log_prob, dtype="<f8").tobytes()
    mass = None if label_mass is None or np.isnan(label_mass) else float(label_mass)
    now = int(time.time())
    return specification, key, blob, mass, now, answer_checksum(key, blob)
