alter table records add column worth bigint not null default 0;

update records set worth = 2 where kind = 'permit';

alter table presence add column granted bigint not null default 0;

update presence set granted = 1 where exists
    (select 1 from grants g where g.repository = presence.repository and g.child = presence.digest);

create index records_next on records (worth, stored);

create index presence_next on presence (granted, seen);

create index tags_next on tags (seen);

create index grants_next on grants (proven, stored);

create index children_by_age on children (stored);

create index evidence_blobs_by_age on evidence_blobs (stored);
