create table records (
    kind text not null,
    repository text not null,
    key text not null,
    revisions text not null,
    body text not null,
    mac blob not null,
    collected bigint not null,
    stored bigint not null,
    primary key (kind, repository, key, revisions)
);

create table grants (
    repository text not null,
    child text not null,
    root text not null,
    role text not null,
    body text not null,
    mac blob not null,
    stored bigint not null,
    primary key (repository, child, root)
);

create table tags (
    repository text not null,
    tag text not null,
    accept text not null,
    digest text not null,
    seen bigint not null,
    primary key (repository, tag, accept)
);

create table presence (
    repository text not null,
    digest text not null,
    seen bigint not null,
    primary key (repository, digest)
);
