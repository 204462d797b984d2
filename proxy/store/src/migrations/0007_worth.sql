alter table tags add column granted bigint not null default 0;

update tags set granted = 1 where exists
    (select 1 from presence p where p.repository = tags.repository and p.digest = tags.digest and p.granted = 1);

drop index tags_next;

create index tags_next on tags (granted, seen);

create index tags_by_digest on tags (repository, digest);
