alter table grants add column proven bigint not null default 0;

create index grants_of_child on grants (repository, child, proven, stored);
