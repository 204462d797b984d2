create table refused (
    id text not null,
    time bigint not null,
    repository text not null,
    record text not null
);
create table believed (
    only bigint not null primary key,
    time bigint not null,
    ahead bigint not null
);
