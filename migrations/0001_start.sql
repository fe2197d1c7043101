-- One text for SQLite and PostgreSQL: TEXT and BIGINT only, times in milliseconds since the epoch.
-- The rules of a sale stand here a second time, so that no bug elsewhere can oversell.

create table shop (
    id bigint primary key check (id = 1),
    version bigint not null,
    secret text not null,
    body text not null
);

create table sale (
    id text primary key,
    number bigint not null unique,
    revision bigint not null,
    phase text not null
        check (phase in ('arming', 'armed', 'open', 'paused', 'closing', 'closed')),
    stock bigint not null,
    taken bigint not null,
    paid bigint not null,
    wake_at bigint,
    created_at bigint not null,
    body text not null,
    constraint never_oversold check (taken <= stock),
    constraint paid_is_taken check (paid >= 0 and paid <= taken)
);
create index sale_wake on sale (wake_at) where wake_at is not null;
create index sale_live on sale (id) where phase <> 'closed';

create table hold (
    sale text not null references sale (id),
    n bigint not null,
    buyer text,
    state text not null
        check (state in ('warm', 'waiting', 'offered', 'opening', 'open', 'closing', 'paid',
                         'released', 'lapsed', 'discarding')),
    units bigint not null check (units > 0),
    body text not null,
    primary key (sale, n)
);
create unique index one_live_hold_per_buyer on hold (sale, buyer)
    where state in ('waiting', 'offered', 'opening', 'open');

create table checkout (
    provider text not null,
    id text not null,
    order_id text,
    sale text not null references sale (id),
    n bigint not null,
    primary key (provider, id)
);
create index checkout_order on checkout (provider, order_id) where order_id is not null;

create table payment (
    provider text not null,
    id text not null,
    sale text references sale (id),
    fate text not null
        check (fate in ('unmatched', 'pending', 'kept', 'refunding', 'refunded', 'person')),
    amount bigint not null,
    currency text not null,
    body text not null,
    primary key (provider, id)
);
create index payment_sale on payment (sale);
create index payment_unmatched on payment (provider) where sale is null;

create table outbox (
    id text primary key,
    sale text not null references sale (id),
    lane text not null,
    target text not null,
    class bigint not null,
    due_at bigint not null,
    queued_at bigint not null,
    leased_until bigint not null,
    token text not null,
    attempts bigint not null,
    generation bigint not null,
    parked bigint not null check (parked in (0, 1)),
    why text not null,
    effect text not null,
    body text not null
);
create index outbox_work on outbox (target, class, queued_at, id) where parked = 0;
create index outbox_lane on outbox (lane, queued_at, id) where parked = 0;

create table seen (
    source text not null,
    id text not null,
    at bigint not null,
    primary key (source, id)
);

create table journal (
    sale text not null references sale (id),
    revision bigint not null,
    at bigint not null,
    body text not null,
    primary key (sale, revision)
);

create table lease (
    name text primary key,
    owner text not null,
    until bigint not null
);

create table document (
    kind text not null,
    id text not null,
    parent text not null,
    version bigint not null,
    body text not null,
    primary key (kind, id)
);
create index document_parent on document (kind, parent);
