create table children (
    repository text not null,
    child text not null,
    tried bigint not null,
    stored bigint not null,
    primary key (repository, child)
);

insert into children (repository, child, tried, stored)
select g.repository, g.child, max(case when p.digest is null then 0 else 1 end), max(g.stored)
from grants g left join presence p on p.repository = g.repository and p.digest = g.child
where g.role = 'child' group by g.repository, g.child;

create index children_next on children (repository, tried, stored desc);

create table standing (
    name text not null primary key,
    value text not null
);

alter table presence add column media_type text;
