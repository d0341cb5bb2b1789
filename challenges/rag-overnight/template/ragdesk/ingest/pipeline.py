"""One ingest, from a folder of documents to an index.

    read -> in force -> owned -> passages -> vectors -> arms and features -> manifest

A full ingest reads every document again and an incremental one those whose file, feed line or access changed. Both end
with the same index. What is costly and follows from texts alone (vectors, features) is taken over from the index as it
was. The manifest is written last.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..chunk import chunks_of
from ..embed import Embedder, VectorCache
from ..index.analyzer import read_analyzers, write_analyzers
from ..index.compact import VectorTable
from ..index.dense import CENTROIDS, centroids_for
from ..index.features import Features, features_of, write_features
from ..index.manifest import Manifest, corpus_version, index_hash, read_manifest, write_manifest
from ..index.snapshot import CHUNKS, read_chunks, write_chunks, write_labels
from ..index.sparse import SparseArm
from ..monitor import log_ingest
from ..records import Access, Chunk, Models
from ..settings import Settings
from .acl import access_of, read_acl
from .loaders import Unreadable, load_document
from .revisions import in_force, read_feed

DOCS = "docs"
ACL = "acl.jsonl"
FEED = "feed.jsonl"
EMBEDDINGS = "embeddings"


@dataclass(frozen=True, slots=True)
class Source:
    """A document that counts, as it lies in the corpus."""

    doc_id: str
    extension: str
    content: bytes
    access: Access
    digest: str  # of all that its passages follow from


@dataclass(frozen=True, slots=True)
class Reading:
    """The passages of a corpus, and how it went."""

    chunks: list[Chunk]
    documents: dict[str, str]  # digest of each document that was read
    reused: int  # documents that were not read again
    skipped: list[str]  # why documents could not be read


def run(
    settings: Settings, corpus: Path, index: Path, models: Models, *, incremental: bool = False
) -> dict[str, object]:
    """Ingest a corpus into an index folder. Gives the counts that are also written into its ingest.log."""
    began = time.monotonic()
    index.mkdir(parents=True, exist_ok=True)
    files = read_files(corpus)
    previous = read_manifest(index)
    sources = sources_of(files, settings)
    before = chunks_before(index, previous) if incremental else {}
    reading = read_documents(sources, previous, before, settings)
    manifest, new_vectors = build(settings, index, reading, previous, models, corpus_version(files))
    counts: dict[str, object] = {
        "mode": "incremental" if incremental else "full",
        "files": sum(name.startswith(f"{DOCS}/") for name in files),
        "in_force": len(sources),
        "documents": len(manifest.documents),
        "reused": reading.reused,
        "removed": len(previous.documents.keys() - manifest.documents.keys()),
        "skipped": len(reading.skipped),
        "chunks": manifest.chunks,
        "new_vectors": new_vectors,
        "corpus": manifest.corpus,
        "hash": manifest.hash,
    }
    log_ingest(index, counts, reading.skipped, seconds=time.monotonic() - began)
    return counts


# ----------------------------------------------------------------------------------------------------------- reading


def read_files(corpus: Path) -> dict[str, bytes]:
    """Every file of a corpus by its name in it."""
    documents = {f"{DOCS}/{path.name}": path for path in sorted((corpus / DOCS).iterdir()) if path.is_file()}
    listed = {name: corpus / name for name in (ACL, FEED)}
    return {name: path.read_bytes() for name, path in {**documents, **listed}.items()}


def sources_of(files: Mapping[str, bytes], settings: Settings) -> list[Source]:
    """The documents that are in force and belong to somebody, in the order of their ids."""
    names = {Path(name).stem: name for name in files if name.startswith(f"{DOCS}/")}
    feed = read_feed(files[FEED].decode("utf-8"))
    acl = read_acl(files[ACL].decode("utf-8"))
    sources = []
    for doc_id in in_force(names, feed):
        access = access_of(doc_id, acl)
        if access is None:
            continue
        content = files[names[doc_id]]
        known_as = feed[doc_id].raw if doc_id in feed else ""
        extension = Path(names[doc_id]).suffix.removeprefix(".")
        digest = source_digest(content, extension, known_as, access, settings)
        sources.append(Source(doc_id, extension, content, access, digest))
    return sources


def source_digest(content: bytes, extension: str, known_as: str, access: Access, settings: Settings) -> str:
    """Changes with the file, its feed line, its access, and the settings that shape an index."""
    parts = [settings.fingerprint, extension, known_as, access.tenant, *access.roles]
    return hashlib.sha256("\0".join(parts).encode() + b"\0" + content).hexdigest()[:32]


def chunks_before(index: Path, previous: Manifest) -> dict[str, list[Chunk]]:
    """The passages of the index as it was, by document."""
    if not (index / CHUNKS).exists():
        return {}
    found: dict[str, list[Chunk]] = {doc_id: [] for doc_id in previous.documents}
    for chunk in read_chunks(index):
        found[chunk.doc_id].append(chunk)
    return found


def read_documents(
    sources: Sequence[Source], previous: Manifest, before: Mapping[str, list[Chunk]], settings: Settings
) -> Reading:
    """The passages of all documents; those of `before` where nothing changed."""
    reading = Reading([], {}, 0, [])
    reused = 0
    for source in sources:
        if source.doc_id in before and previous.documents[source.doc_id] == source.digest:
            found = before[source.doc_id]
            reused += 1
        else:
            try:
                document = load_document(source.doc_id, source.extension, source.content)
            except Unreadable as error:
                reading.skipped.append(str(error))
                continue
            found = chunks_of(document, source.access, settings.chunking)
        reading.chunks.extend(found)
        reading.documents[source.doc_id] = source.digest
    return Reading(reading.chunks, reading.documents, reused, reading.skipped)


# ---------------------------------------------------------------------------------------------------------- building


def build(
    settings: Settings, index: Path, reading: Reading, previous: Manifest, models: Models, version: str
) -> tuple[Manifest, int]:
    """Write the index. Gives its manifest, and how many vectors the table did not have."""
    chunks = list({chunk.chunk_id: chunk for chunk in reading.chunks}.values())
    cache = VectorCache(index / EMBEDDINGS)
    embedder = Embedder(models, settings, cache)
    table, new_vectors = vector_table(chunks, index, previous, embedder, settings)
    analyzers = read_analyzers(index)
    sparse = SparseArm.build([analyzers.documents.terms(chunk.text) for chunk in chunks], settings.sparse)
    features = features_of(chunks, index, analyzers.documents, settings.rerank.passage_words)
    manifest = Manifest(
        corpus=version,
        hash=index_hash(chunks, table.vectors),
        settings=settings.fingerprint,
        embedding=embedding_name(settings),
        chunks=len(chunks),
        documents=reading.documents,
    )
    write_chunks(index, chunks)
    np.save(index / CENTROIDS, centroids_for(table.vectors, index, previous.chunks, settings.dense))
    table.save(index)
    sparse.save(index)
    write_analyzers(index, analyzers)
    write_features(index, features)
    label(index, features, embedder)
    cache.save()
    write_manifest(index, manifest)
    return manifest, new_vectors


def vector_table(
    chunks: Sequence[Chunk], index: Path, previous: Manifest, embedder: Embedder, settings: Settings
) -> tuple[VectorTable, int]:
    """The table of the index as it was, brought up to date: new rows at its end, dead ones out."""
    chunk_ids = [chunk.chunk_id for chunk in chunks]
    table = VectorTable.load(index, settings.embedding.dimensions)
    if previous.embedding != embedding_name(settings):
        table = table.compacted(table.tombstones([]))
    missing = set(table.missing(chunk_ids))
    new = [chunk for chunk in chunks if chunk.chunk_id in missing]
    table = table.extended([chunk.chunk_id for chunk in new], embedder.passages([chunk.text for chunk in new]))
    table = table.compacted(table.tombstones(chunk_ids))
    return table.arranged(chunk_ids), len(new)


def embedding_name(settings: Settings) -> str:
    """How vectors are made: those of another name do not go together."""
    shape = settings.embedding
    return f"{settings.models.embedding}/{shape.passage_words}/{shape.dimensions}"


def label(index: Path, features: Sequence[Features], embedder: Embedder) -> None:
    """Vectors of all titles and headings, by which the re-ranker knows what a passage is about."""
    texts = sorted({text for one in features for text in (one.title, one.heading) if text})
    write_labels(index, texts, embedder.passages(texts))
