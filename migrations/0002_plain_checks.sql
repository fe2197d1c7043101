-- The same tables under the same rules. A list of more than two values behind `in` costs SQLite a
-- table of its own for each row it checks and for each partial index it looks at; plain
-- comparisons cost next to nothing.

create table hold_new (
    sale text not null references sale (id),
    n bigint not null,
    buyer text,
    state text not null
        check (state = 'open' or state = 'warm' or state = 'paid' or state = 'opening'
            or state = 'closing' or state = 'released' or state = 'waiting' or state = 'offered'
            or state = 'lapsed' or state = 'discarding'),
    units bigint not null check (units > 0),
    body text not null,
    primary key (sale, n)
);
insert into hold_new (sale, n, buyer, state, units, body)
    select sale, n, buyer, state, units, body from hold order by sale, n;
drop table hold;
alter table hold_new rename to hold;
create unique index one_live_hold_per_buyer on hold (sale, buyer)
    where state = 'open' or state = 'opening' or state = 'waiting' or state = 'offered';

create table payment_new (
    provider text not null,
    id text not null,
    sale text references sale (id),
    fate text not null
        check (fate = 'kept' or fate = 'pending' or fate = 'unmatched' or fate = 'refunding'
            or fate = 'refunded' or fate = 'person'),
    amount bigint not null,
    currency text not null,
    body text not null,
    primary key (provider, id)
);
insert into payment_new (provider, id, sale, fate, amount, currency, body)
    select provider, id, sale, fate, amount, currency, body from payment order by provider, id;
drop table payment;
alter table payment_new rename to payment;
create index payment_sale on payment (sale);
create index payment_unmatched on payment (provider) where sale is null;
