alter table audit rename to audit_before;
create table audit (
    position integer primary key,
    time bigint not null,
    id text not null,
    story text not null,
    what blob not null,
    record text not null
);
create table what (
    what blob not null primary key,
    last_day bigint not null,
    gate text not null,
    kind text not null,
    repository text not null,
    reference text not null,
    digest text not null,
    root text not null,
    client text not null,
    names text not null,
    agent text not null,
    policy text not null,
    verdict text not null,
    ground text not null,
    code text not null,
    signers text not null
) without rowid;
create index what_by_repository on what (repository);
create index what_by_digest on what (digest);
create index what_by_root on what (root);
create index what_by_client on what (client);
create table days (
    day bigint not null,
    what blob not null,
    count bigint not null,
    first bigint not null,
    last bigint not null,
    first_position bigint not null,
    last_position bigint not null,
    primary key (day, what)
) without rowid;
create index days_by_what on days (what, day);
create table shown (
    short text not null,
    position bigint not null,
    primary key (short, position)
) without rowid;
create view pulls as
    select a.position, a.time, a.id, a.story, w.gate, w.kind, w.repository, w.reference, w.digest, w.root, w.client, w.names,
        w.agent, w.policy, w.verdict, w.ground, w.code, w.signers, a.record
    from audit a join what w on w.what = a.what;
create view rollup as
    select d.day, d.count, d.first, d.last, w.gate, w.kind, w.repository, w.reference, w.digest, w.root, w.client, w.names,
        w.agent, w.policy, w.verdict, w.ground, w.code, w.signers
    from days d join what w on w.what = d.what;
