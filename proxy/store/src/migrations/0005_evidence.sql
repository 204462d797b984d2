create table evidence_blobs (
    repository text not null,
    blob text not null,
    manifest text not null,
    stored bigint not null,
    primary key (repository, blob, manifest)
);
