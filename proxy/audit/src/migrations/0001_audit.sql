create table audit (
    id text not null primary key,
    time bigint not null,
    kind text not null,
    verdict text not null,
    repository text not null,
    digest text,
    record text not null
);
create index audit_by_time on audit (time);
create index audit_by_repository on audit (repository, time);
create index audit_by_digest on audit (digest, time);
