create table if not exists audit (
    id text not null primary key,
    time text not null,
    stored bigint not null,
    record text not null
);
